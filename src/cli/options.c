/*
 * options.c
 *		Reads a subcommand's options by its table, and tells what is wrong with them.
 *
 * Long options only, whole words only: --name VALUE or --name=VALUE, in any order
 * with the operand; what follows -- is no option.  getopt_long would accept
 * abbreviations, which a later version could make ambiguous, and word its
 * messages itself, without the nearest word.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define LONGEST_WORD 40

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, with neighbours that changed places as one step. */
static size_t
distance(const char *a, const char *b)
{
	size_t		rows[3][LONGEST_WORD + 1];
	size_t	   *before = rows[0];
	size_t	   *last = rows[1];
	size_t	   *now = rows[2];
	size_t		alen = strlen(a);
	size_t		blen = strlen(b);

	if (alen > LONGEST_WORD || blen > LONGEST_WORD)
		return LONGEST_WORD;
	for (size_t j = 0; j <= blen; j++)
		before[j] = last[j] = j;
	for (size_t i = 1; i <= alen; i++)
	{
		size_t	   *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= blen; j++)
		{
			now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[blen];
}

/* The word of a NULL-terminated list that is nearest to the one given. */
const char *
cli_nearest(const char *word, const char *const *words)
{
	const char *best = words[0];

	for (; *words != NULL; words++)
		if (distance(word, *words) < distance(word, best))
			best = *words;
	return best;
}

static const CliOption *
find_option(const CliOption *options, const char *name, size_t len)
{
	for (; options->name != NULL; options++)
		if (strlen(options->name) == len && strncmp(options->name, name, len) == 0)
			return options;
	return NULL;
}

static bool
unknown_option(const CliOption *options, const char *given, size_t len, char *message, size_t size)
{
	char		word[LONGEST_WORD + 1];
	const char *best = options->name;

	snprintf(word, sizeof(word), "%.*s", (int) least(len, LONGEST_WORD), given);
	for (const CliOption *o = options; o->name != NULL; o++)
		if (distance(word, o->name) < distance(word, best))
			best = o->name;
	snprintf(message, size, "unknown option \"--%s\": the nearest is \"--%s\"", word, best);
	return false;
}

/* Is the value one that the option takes? */
static bool
one_of(const CliOption *option, const char *value, char *message, size_t size)
{
	if (option->words == NULL)
		return true;
	for (const char *const *w = option->words; *w != NULL; w++)
		if (strcmp(value, *w) == 0)
			return true;
	snprintf(message, size, "invalid value for option \"--%s\": \"%.40s\": the nearest is \"%s\"",
			 option->name, value, cli_nearest(value, option->words));
	return false;
}

/*
 * Read argv, which begins behind the subcommand's name, into the targets of the
 * options and *operand (NULL if there is none).  False with a message if that
 * cannot be done.
 */
bool
cli_parse(const CliCommand *command, int argc, char **argv, const char **operand,
		  char *message, size_t size)
{
	bool		only_operands = false;

	*operand = NULL;
	for (int i = 0; i < argc; i++)
	{
		const char *arg = argv[i];
		const char *value;
		const CliOption *option;

		if (!only_operands && strcmp(arg, "--") == 0)
		{
			only_operands = true;
			continue;
		}
		if (only_operands || arg[0] != '-' || arg[1] == '\0')
		{
			if (command->operand == NULL || *operand != NULL)
			{
				snprintf(message, size, "unexpected argument \"%.60s\"", arg);
				return false;
			}
			*operand = arg;
			continue;
		}
		if (arg[1] != '-')
		{
			snprintf(message, size, "unknown option \"%.60s\": options begin with two dashes", arg);
			return false;
		}
		arg += 2;
		value = strchr(arg, '=');
		option = find_option(command->options, arg, value != NULL ? (size_t) (value - arg) : strlen(arg));
		if (option == NULL)
			return unknown_option(command->options, arg,
								  value != NULL ? (size_t) (value - arg) : strlen(arg),
								  message, size);
		if (option->argument == NULL)
		{
			if (value != NULL)
			{
				snprintf(message, size, "option \"--%s\" takes no value", option->name);
				return false;
			}
			*option->flag = true;
			continue;
		}
		if (value != NULL)
			value++;
		else if (i + 1 < argc)
			value = argv[++i];
		else
		{
			snprintf(message, size, "option \"--%s\" needs a value", option->name);
			return false;
		}
		if (*option->text != NULL)
		{
			snprintf(message, size, "option \"--%s\" is given twice", option->name);
			return false;
		}
		if (!one_of(option, value, message, size))
			return false;
		*option->text = value;
	}
	if (command->operand != NULL && *operand == NULL)
	{
		snprintf(message, size, "%s is missing", command->operand);
		return false;
	}
	return true;
}

/* A whole number in a range; *number is left alone where the option was not given. */
bool
cli_number(const char *option, const char *text, long lowest, long most, long *number,
		   char *message, size_t size)
{
	char	   *end;
	long		value;

	if (text == NULL)
		return true;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < lowest || value > most)
	{
		snprintf(message, size, "invalid value for option \"--%s\": \"%.60s\" is not a number from %ld to %ld",
				 option, text, lowest, most);
		return false;
	}
	*number = value;
	return true;
}

/* The name of a service, which also becomes that of files and of a setting's value. */
bool
cli_name(const char *what, const char *text, char *message, size_t size)
{
	size_t		len = text != NULL ? strlen(text) : 0;

	if (text == NULL)
		snprintf(message, size, "%s is missing", what);
	else if (len < 1 || len > 63 || text[0] < 'a' || text[0] > 'z' ||
			 strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)
		snprintf(message, size, "invalid name \"%.70s\": a service's name begins with a letter a to z and "
				 "has letters a to z, digits, _ and -, at most 63", text);
	else
		return true;
	return false;
}
