/*
 * json.c
 *		Text as a JSON string.
 *
 * Everything else of JSON is made by the server: this is for messages when there
 * is none.
 */
#include <stdio.h>

#include "cli.h"

/* Print text as a JSON string; bytes above 127 are taken to be UTF-8. */
void
cli_print_json(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}
