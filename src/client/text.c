/*
 * text.c
 *		Text that grows, and values written into it for COPY, as an array, as JSON and as
 *		an identifier.
 *
 * Out of memory is noted and asked for once, at the end: see dbpool__text.failed.
 * Only single bytes are looked at, so the encoding must be one whose characters
 * have no ASCII in them: the caller sees to it.
 */
#include <stdlib.h>
#include <string.h>

#include "text.h"

void
dbpool__text_bytes(dbpool__text *text, const char *data, size_t length)
{
	if (text->failed)
		return;
	if (length >= text->room - text->n)
	{
		size_t room = (text->n + length + 1) * 2;
		char  *grown = room > length ? realloc(text->data, room) : NULL;

		if (grown == NULL)
		{
			text->failed = true;
			return;
		}
		text->data = grown;
		text->room = room;
	}
	memcpy(text->data + text->n, data, length);
	text->n += length;
	text->data[text->n] = '\0';
}

void
dbpool__text_add(dbpool__text *text, const char *string)
{
	dbpool__text_bytes(text, string, strlen(string));
}

void
dbpool__text_free(dbpool__text *text)
{
	free(text->data);
	*text = (dbpool__text) {0};
}

/* Copy a string; each byte in `special` gets `before` before it. */
static void
escape(dbpool__text *text, const char *string, size_t length, const char *special, char before)
{
	while (length > 0)
	{
		size_t plain = strcspn(string, special);

		if (plain > length)
			plain = length;
		dbpool__text_bytes(text, string, plain);
		string += plain;
		length -= plain;
		if (length > 0)
		{
			char pair[2] = {before, *string};

			dbpool__text_bytes(text, pair, 2);
			string++;
			length--;
		}
	}
}

/* An identifier in quotes, of a string that need not end behind it. */
static void
identifier(dbpool__text *text, const char *name, size_t length)
{
	dbpool__text_bytes(text, "\"", 1);
	escape(text, name, length, "\"", '"');
	dbpool__text_bytes(text, "\"", 1);
}

void
dbpool__text_name(dbpool__text *text, const char *name)
{
	identifier(text, name, strlen(name));
}

/* "name" or "schema.name" as the catalog has it; false if it is neither. */
bool
dbpool__text_table(dbpool__text *text, const char *table)
{
	const char *dot = strchr(table, '.');
	const char *name = dot != NULL ? dot + 1 : table;

	if (name[0] == '\0' || dot == table)
		return false;
	if (dot != NULL)
	{
		identifier(text, table, (size_t) (dot - table));
		dbpool__text_bytes(text, ".", 1);
	}
	dbpool__text_name(text, name);
	return true;
}

/* A value of COPY's text format; NULL is an SQL null. */
void
dbpool__text_copy(dbpool__text *text, const char *value)
{
	if (value == NULL)
	{
		dbpool__text_add(text, "\\N");
		return;
	}
	while (*value != '\0')
	{
		static const char special[] = "\\\t\n\r";
		static const char letter[] = "\\tnr";
		size_t plain = strcspn(value, special);

		dbpool__text_bytes(text, value, plain);
		value += plain;
		if (*value != '\0')
		{
			char pair[2] = {'\\', letter[strchr(special, *value++) - special]};

			dbpool__text_bytes(text, pair, 2);
		}
	}
}

/* An element of an array literal. */
void
dbpool__text_element(dbpool__text *text, const char *value)
{
	if (value == NULL)
	{
		dbpool__text_add(text, "NULL");
		return;
	}
	dbpool__text_bytes(text, "\"", 1);
	escape(text, value, strlen(value), "\"\\", '\\');
	dbpool__text_bytes(text, "\"", 1);
}

/* A JSON string, or null. */
void
dbpool__text_json(dbpool__text *text, const char *value)
{
	static const char hex[] = "0123456789abcdef";

	if (value == NULL)
	{
		dbpool__text_add(text, "null");
		return;
	}
	dbpool__text_bytes(text, "\"", 1);
	while (*value != '\0')
	{
		size_t plain = 0;

		while ((unsigned char) value[plain] >= ' ' && value[plain] != '"' && value[plain] != '\\')
			plain++;
		dbpool__text_bytes(text, value, plain);
		value += plain;
		if (*value == '"' || *value == '\\')
		{
			char pair[2] = {'\\', *value++};

			dbpool__text_bytes(text, pair, 2);
		}
		else if (*value != '\0')
		{
			char code[6] = {'\\', 'u', '0', '0', hex[(*value >> 4) & 1], hex[*value & 15]};

			dbpool__text_bytes(text, code, sizeof(code));
			value++;
		}
	}
	dbpool__text_bytes(text, "\"", 1);
}
