/*
 * text.h
 *		See text.c.  Begin with {0}, end with dbpool__text_free.
 */
#ifndef DBPOOL_TEXT_H
#define DBPOOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct dbpool__text
{
	char  *data; /* ends with a zero; NULL until something was added */
	size_t n;
	size_t room;
	bool   failed; /* out of memory: it is not complete */
} dbpool__text;

void dbpool__text_bytes(dbpool__text *text, const char *data, size_t length);
void dbpool__text_add(dbpool__text *text, const char *string);
void dbpool__text_name(dbpool__text *text, const char *name);
bool dbpool__text_table(dbpool__text *text, const char *table);
void dbpool__text_copy(dbpool__text *text, const char *value);
void dbpool__text_element(dbpool__text *text, const char *value);
void dbpool__text_json(dbpool__text *text, const char *value);
void dbpool__text_free(dbpool__text *text);

#endif /* DBPOOL_TEXT_H */
