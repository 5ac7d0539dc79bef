/*
 * exposition.c
 *		See exposition.h.  Written after the format's description alone, so that it shares
 *		no mistake with the library's printing.
 */
#include "exposition.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 4096 /* samples, families */

typedef struct
{
	char  *key; /* name and labels without le, canonical enough: as written */
	char  *name;
	double le; /* NAN if it has none */
	double value;
} sample;

typedef struct
{
	char name[128];
	char type[16];
	bool help;
} family;

typedef struct
{
	const char *at;
	int			line;
	char	   *why;
	size_t		size;
	jmp_buf		bad;
	family		families[MOST / 8];
	int			nfamilies;
	sample		samples[MOST];
	int			nsamples;
} parser;

static void
__attribute__((format(printf, 2, 3), noreturn))
refuse(parser *p, const char *fmt, ...)
{
	va_list ap;
	int		n = snprintf(p->why, p->size, "line %d: ", p->line);

	va_start(ap, fmt);
	vsnprintf(p->why + n, p->size - (size_t) n, fmt, ap);
	va_end(ap);
	longjmp(p->bad, 1);
}

static void
expect(parser *p, char c)
{
	if (*p->at != c)
		refuse(p, "expected '%c' at \"%.20s\"", c, p->at);
	p->at++;
}

/* A metric's or label's name: letters, digits, "_", for metrics ":". */
static void
name(parser *p, char *out, size_t size, bool metric)
{
	size_t n = 0;

	if (!isalpha((unsigned char) *p->at) && *p->at != '_' && !(metric && *p->at == ':'))
		refuse(p, "no name at \"%.20s\"", p->at);
	while (isalnum((unsigned char) *p->at) || *p->at == '_' || (metric && *p->at == ':'))
	{
		if (n + 1 == size)
			refuse(p, "a name is too long");
		out[n++] = *p->at++;
	}
	out[n] = '\0';
}

/* One character of UTF-8, by its definition: shortest form, no surrogate. */
static void
character(parser *p)
{
	const unsigned char *s = (const unsigned char *) p->at;
	unsigned			 code;
	int					 more;

	if (s[0] < 0x80)
	{
		if (s[0] == '\0')
			refuse(p, "the text ends within a line");
		p->at++;
		return;
	}
	more = s[0] >= 0xF0 ? 3 : s[0] >= 0xE0 ? 2 : 1;
	if (s[0] < 0xC0 || s[0] > 0xF7)
		refuse(p, "byte %d begins no character", s[0]);
	code = s[0] & (more == 3 ? 0x07u : more == 2 ? 0x0Fu : 0x1Fu);
	for (int i = 1; i <= more; i++)
	{
		if ((s[i] & 0xC0) != 0x80)
			refuse(p, "byte %d goes on with no character", s[i]);
		code = code << 6 | (s[i] & 0x3Fu);
	}
	if (code < (more == 1 ? 0x80u : more == 2 ? 0x800u : 0x10000u) || code > 0x10FFFF ||
		(code >= 0xD800 && code <= 0xDFFF))
		refuse(p, "U+%X in a wrong form", code);
	p->at += more + 1;
}

static family *
family_find(parser *p, const char *metric)
{
	for (int i = 0; i < p->nfamilies; i++)
		if (strcmp(p->families[i].name, metric) == 0)
			return &p->families[i];
	return NULL;
}

/* "# HELP name text" or "# TYPE name type". */
static void
comment(parser *p)
{
	char	metric[128];
	char	word[8] = "";
	family *f;

	if (sscanf(p->at, "# %5[A-Z] ", word) != 1 || (strcmp(word, "HELP") != 0 && strcmp(word, "TYPE") != 0))
		refuse(p, "a comment is neither HELP nor TYPE");
	p->at += 7;
	name(p, metric, sizeof(metric), true);
	expect(p, ' ');
	f = family_find(p, metric);
	if (strcmp(word, "HELP") == 0)
	{
		if (f != NULL)
			refuse(p, "%s has HELP twice, or too late", metric);
		f = &p->families[p->nfamilies++];
		strcpy(f->name, metric);
		f->help = true;
		while (*p->at != '\n')
		{
			if (*p->at == '\\' && p->at[1] != '\\' && p->at[1] != 'n')
				refuse(p, "a bad escape in HELP");
			p->at += *p->at == '\\';
			character(p);
		}
	}
	else
	{
		size_t n = strcspn(p->at, "\n");

		if (f == NULL || f != &p->families[p->nfamilies - 1])
			refuse(p, "TYPE of %s does not follow its HELP", metric);
		if (f->type[0] != '\0')
			refuse(p, "%s has TYPE twice", metric);
		if (n >= sizeof(f->type))
			refuse(p, "no such type");
		memcpy(f->type, p->at, n);
		if (strcmp(f->type, "counter") != 0 && strcmp(f->type, "gauge") != 0 &&
			strcmp(f->type, "histogram") != 0)
			refuse(p, "no such type: %s", f->type);
		p->at += n;
	}
	expect(p, '\n');
}

static double
number(parser *p, const char *text, const char *what)
{
	char  *end;
	double value;

	if (strcmp(text, "+Inf") == 0)
		return INFINITY;
	/* strtod takes more: blanks, hexadecimal, words */
	if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text))
		refuse(p, "%s \"%s\" is no number", what, text);
	value = strtod(text, &end);
	if (*end != '\0')
		refuse(p, "%s \"%s\" is no number", what, text);
	return value;
}

static void
add(parser *p, char *key, size_t size, const char *label, const char *value)
{
	size_t used = strlen(key);
	int	   n = snprintf(key + used, size - used, "%s=\"%s\",", label, value);

	if (n < 0 || (size_t) n >= size - used)
		refuse(p, "labels are too long");
}

/* {name="value",...}: into s->key without le, which goes to s->le. */
static void
labels(parser *p, sample *s, char *key, size_t size)
{
	char seen[16][64];
	int	 n = 0;

	expect(p, '{');
	for (;;)
	{
		const char *start;
		char		value[256];

		if (n == 16)
			refuse(p, "too many labels");
		name(p, seen[n], sizeof(seen[n]), false);
		for (int i = 0; i < n; i++)
			if (strcmp(seen[i], seen[n]) == 0)
				refuse(p, "label %s comes twice", seen[n]);
		expect(p, '=');
		expect(p, '"');
		start = p->at;
		while (*p->at != '"')
		{
			if (*p->at == '\n')
				refuse(p, "a line feed in a label");
			if (*p->at == '\\' && strchr("\\\"n", p->at[1]) == NULL)
				refuse(p, "a bad escape in a label");
			p->at += *p->at == '\\';
			character(p);
		}
		snprintf(value, sizeof(value), "%.*s", (int) (p->at - start), start);
		expect(p, '"');
		if (strcmp(seen[n], "le") == 0)
			s->le = number(p, value, "le");
		else
			add(p, key, size, seen[n], value);
		n++;
		if (*p->at != ',')
			break;
		p->at++;
	}
	expect(p, '}');
}

/* May a sample of this name stand in the family? */
static void
check_name(parser *p, const family *f, const sample *s)
{
	size_t		n = strlen(f->name);
	const char *rest = s->name + n;

	if (f->type[0] == '\0' || strncmp(s->name, f->name, n) != 0)
		refuse(p, "%s is not of the family before it", s->name);
	if (strcmp(f->type, "histogram") == 0)
	{
		if (strcmp(rest, "_bucket") != 0 && strcmp(rest, "_sum") != 0 && strcmp(rest, "_count") != 0)
			refuse(p, "%s in a histogram", s->name);
		if ((strcmp(rest, "_bucket") == 0) != !isnan(s->le))
			refuse(p, "le is for buckets");
		return;
	}
	if (rest[0] != '\0' || !isnan(s->le))
		refuse(p, "%s is not of the family before it", s->name);
	if (strcmp(f->type, "counter") == 0 && (n < 6 || strcmp(f->name + n - 6, "_total") != 0 ||
											s->value < 0))
		refuse(p, "%s is no counter", s->name);
}

static void
read_sample(parser *p)
{
	sample *s = &p->samples[p->nsamples];
	char	metric[128];
	char	key[1024] = "";
	char	value[64];
	size_t	n;

	if (p->nfamilies == 0)
		refuse(p, "a sample without a family");
	if (p->nsamples == MOST)
		refuse(p, "too many samples");
	name(p, metric, sizeof(metric), true);
	s->name = strdup(metric);
	s->le = NAN;
	s->key = NULL;
	p->nsamples++;
	if (*p->at == '{')
		labels(p, s, key, sizeof(key));
	s->key = strdup(key);
	expect(p, ' ');
	n = strcspn(p->at, "\n");
	snprintf(value, sizeof(value), "%.*s", (int) n, p->at);
	p->at += n;
	expect(p, '\n');
	s->value = number(p, value, "value");
	check_name(p, &p->families[p->nfamilies - 1], s);
	for (int i = 0; i < p->nsamples - 1; i++)
	{
		const sample *o = &p->samples[i];

		if (strcmp(o->name, s->name) == 0 && strcmp(o->key, s->key) == 0 &&
			(o->le == s->le || (isnan(o->le) && isnan(s->le))))
			refuse(p, "%s{%s} comes twice", s->name, s->key);
	}
}

static const sample *
find(const parser *p, const char *metric, const char *suffix, const char *key, double le)
{
	char full[160];

	snprintf(full, sizeof(full), "%s%s", metric, suffix);
	for (int i = 0; i < p->nsamples; i++)
		if (strcmp(p->samples[i].name, full) == 0 && strcmp(p->samples[i].key, key) == 0 &&
			(isnan(le) || p->samples[i].le == le))
			return &p->samples[i];
	return NULL;
}

static void
check_histogram(parser *p, const family *f)
{
	const sample *before = NULL;
	char		  bucket[160];

	snprintf(bucket, sizeof(bucket), "%s_bucket", f->name);
	for (int i = 0; i < p->nsamples; i++)
	{
		const sample *s = &p->samples[i];

		if (strcmp(s->name, bucket) != 0)
			continue;
		if (before != NULL && strcmp(before->key, s->key) == 0)
		{
			if (s->le <= before->le || s->value < before->value)
				refuse(p, "%s{%s}: buckets do not rise", bucket, s->key);
		}
		else if (before != NULL && before->le != INFINITY)
			refuse(p, "%s{%s} has no +Inf at its end", bucket, before->key);
		before = s;
		if (s->le == INFINITY)
		{
			const sample *count = find(p, f->name, "_count", s->key, NAN);
			const sample *sum = find(p, f->name, "_sum", s->key, NAN);

			if (count == NULL || sum == NULL || count->value != s->value)
				refuse(p, "%s{%s}: count or sum is missing or wrong", f->name, s->key);
		}
	}
	if (before != NULL && before->le != INFINITY)
		refuse(p, "%s has no +Inf at its end", bucket);
}

static void
read_all(parser *p)
{
	for (p->line = 1; *p->at != '\0'; p->line++)
	{
		if (*p->at == '#')
			comment(p);
		else
			read_sample(p);
	}
	for (int i = 0; i < p->nfamilies; i++)
	{
		if (p->families[i].type[0] == '\0')
			refuse(p, "%s has no TYPE", p->families[i].name);
		if (strcmp(p->families[i].type, "histogram") == 0)
			check_histogram(p, &p->families[i]);
	}
}

bool
exposition_valid(const char *text, char *why, size_t size)
{
	parser	  *p = calloc(1, sizeof(*p));
	bool	   valid = false;

	if (p == NULL)
		abort();
	p->at = text;
	p->why = why;
	p->size = size;
	if (setjmp(p->bad) == 0)
	{
		read_all(p);
		valid = true;
	}
	for (int i = 0; i < p->nsamples; i++)
	{
		free(p->samples[i].key);
		free(p->samples[i].name);
	}
	free(p);
	return valid;
}

double
exposition_value(const char *text, const char *series)
{
	size_t n = strlen(series);

	for (const char *line = text; line != NULL; line = strchr(line, '\n'))
	{
		line += *line == '\n';
		if (strncmp(line, series, n) == 0 && line[n] == ' ')
			return strtod(line + n + 1, NULL);
	}
	return -1;
}
