/*
 * error.c
 *		Error codes, their names, and how an error struct is filled.
 *
 * The table in dbpool.h is the only place that lists the codes; everything here
 * is generated from it.  No locks; the error structs belong to the caller.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

const char *
dbpool_version(void)
{
	return DBPOOL_VERSION_STRING;
}

const char *
dbpool_strerror(int code)
{
	switch (code)
	{
#define DBPOOL_X(name, number, text) \
	case number: \
		return text;
		DBPOOL_ERROR_TABLE(DBPOOL_X)
#undef DBPOOL_X
		default:
			return "unknown error code";
	}
}

const char *
dbpool_errname(int code)
{
	switch (code)
	{
#define DBPOOL_X(name, number, text) \
	case number: \
		return "DBPOOL_" #name;
		DBPOOL_ERROR_TABLE(DBPOOL_X)
#undef DBPOOL_X
		default:
			return "DBPOOL_UNKNOWN";
	}
}

/*
 * Fill *err (NULL allowed); see dbpool__fail.
 */
void
dbpool__set_error(dbpool_error *err, int code, uint32_t flags, const char *sqlstate,
				  const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return;
	err->code = code;
	err->flags = flags;
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate != NULL ? sqlstate : "");
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	dbpool__one_line(err->message);
}

/*
 * Copy all but size: the target may be a longer struct of a newer caller.
 */
int
dbpool__copy_error(dbpool_error *to, const dbpool_error *from)
{
	if (to != NULL)
	{
		to->code = from->code;
		to->flags = from->flags;
		memcpy(to->sqlstate, from->sqlstate, sizeof(to->sqlstate));
		memcpy(to->message, from->message, sizeof(to->message));
	}
	return from->code;
}

/*
 * Turn the line breaks of a libpq message into "; " in place, drop the last,
 * and indentation with them, so that a message stays one line in a log.
 */
void
dbpool__one_line(char *text)
{
	char *in = text;
	char *out = text;

	while (*in != '\0')
	{
		if (*in != '\n')
		{
			*out++ = *in++;
			continue;
		}
		while (*in == '\n' || *in == '\t' || *in == ' ')
			in++;
		if (*in == '\0')
			break;
		/* one character became two at most where two or more were eaten */
		if (in - out >= 2)
			*out++ = ';';
		*out++ = ' ';
	}
	*out = '\0';
}
