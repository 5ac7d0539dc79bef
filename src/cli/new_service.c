/*
 * new_service.c
 *		dbutil new-service: writes a small complete service into a new folder.
 *
 * It is made from files (template/ of the sources, installed in share/dbutil)
 * whose names end in .in: first those of both languages, then the language's own.
 * In them @NAME@ stands for the service's name and @IDENT@ for an identifier
 * made from it, of SQL, C and metrics: app_ and the name with _ for -, which is no
 * reserved word of any of them.
 *
 * All or nothing: the folder must not be there before, and is removed again if
 * something fails.
 */
#define _GNU_SOURCE				/* nftw, strchrnul */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#define MESSAGE_SIZE 400

static const char *const languages[] = {"c", "python", NULL};

static const char *language;

static const CliOption options[] = {
	{.name = "lang", .argument = "LANGUAGE", .text = &language, .words = languages,
	.help = "c (the default) or python"},
	{0}
};

/* What nftw's callbacks work on: it hands nothing through. */
static const char *service;
static char ident[80];
static size_t prefix;			/* length of the template's path */
static char problem[PATH_MAX + 100];

static int
failed(const char *what, const char *path)
{
	if (problem[0] == '\0')
		snprintf(problem, sizeof(problem), "cannot %s %s: %s", what, path, strerror(errno));
	return -1;
}

/* Where the template of that name is: beside the program, or where the environment says. */
static bool
find_template(const char *name, char *path, size_t size)
{
	const char *given = getenv("DBUTIL_TEMPLATES");
	char		program[PATH_MAX];
	ssize_t		len;
	int			written;

	if (given != NULL)
		written = snprintf(path, size, "%s/%s", given, name);
	else
	{
		len = readlink("/proc/self/exe", program, sizeof(program) - 1);
		if (len < 0)
		{
			(void) failed("read", "/proc/self/exe");
			return false;
		}
		program[len] = '\0';
		/* PREFIX/bin/dbutil */
		for (int i = 0; i < 2; i++)
		{
			char	   *slash = strrchr(program, '/');

			if (slash != NULL)
				*slash = '\0';
		}
		written = snprintf(path, size, "%s/share/dbutil/template/%s", program, name);
	}
	if (written < 0 || (size_t) written >= size)
	{
		errno = ENAMETOOLONG;
		(void) failed("find", "the templates");
		return false;
	}
	if (access(path, R_OK | X_OK) == 0)
		return true;
	(void) failed("find the template", path);
	return false;
}

/* Copy one line, with the service's name and identifier put in. */
static void
put_line(FILE *to, const char *line)
{
	while (*line != '\0')
	{
		const char *next = strchrnul(line, '@');

		(void) fwrite(line, 1, (size_t) (next - line), to);
		line = next;
		if (strncmp(line, "@NAME@", 6) == 0)
		{
			(void) fputs(service, to);
			line += 6;
		}
		else if (strncmp(line, "@IDENT@", 7) == 0)
		{
			(void) fputs(ident, to);
			line += 7;
		}
		else if (*line == '@')
			(void) fputc(*line++, to);
	}
}

static int
copy_file(const char *from, const char *to)
{
	FILE	   *in = fopen(from, "r");
	FILE	   *out;
	char	   *line = NULL;
	size_t		size = 0;
	int			bad;

	if (in == NULL)
		return failed("read", from);
	out = fopen(to, "wx");
	if (out == NULL)
	{
		(void) failed("write", to);
		(void) fclose(in);
		return -1;
	}
	while (getline(&line, &size, in) > 0)
		put_line(out, line);
	bad = ferror(in) ? failed("read", from) : 0;
	free(line);
	(void) fclose(in);
	if (ferror(out) && bad == 0)
		bad = failed("write", to);
	if (fclose(out) != 0 && bad == 0)
		bad = failed("write", to);
	return bad;
}

/* For nftw: make a folder or a file of the service. */
static int
make(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	char		target[PATH_MAX];
	const char *rest = path + prefix;
	size_t		len = strlen(rest);
	int			written;

	(void) info;
	(void) walk;
	if (type == FTW_F && len > 3 && strcmp(rest + len - 3, ".in") == 0)
		len -= 3;
	else if (type != FTW_D)
		return failed("read", path);
	written = snprintf(target, sizeof(target), "%s%.*s", service, (int) len, rest);
	if (written < 0 || (size_t) written >= sizeof(target))
	{
		errno = ENAMETOOLONG;
		return failed("write", path);
	}
	if (type == FTW_F)
		return copy_file(path, target);
	/* the service's own folder is there, and others are in both templates */
	if (mkdir(target, 0777) != 0 && errno != EEXIST)
		return failed("make the folder", target);
	return 0;
}

/* For nftw: take away what was made. */
static int
unmake(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void) info;
	(void) type;
	(void) walk;
	return remove(path);
}

static int
run(const char *operand)
{
	const char *parts[2] = {"common", language != NULL ? language : "c"};
	char		message[MESSAGE_SIZE];
	char		path[PATH_MAX];
	bool		good = true;

	if (!cli_name("NAME", operand, message, sizeof(message)))
		return cli_bad_usage(&cli_new_service, message);
	service = operand;
	snprintf(ident, sizeof(ident), "app_%s", service);
	for (char *c = ident; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
	if (mkdir(service, 0777) != 0)
	{
		fprintf(stderr, "dbutil: error: cannot make the folder %s: %s\n", service, strerror(errno));
		return CLI_FAILED;
	}
	for (int i = 0; good && i < 2; i++)
	{
		good = find_template(parts[i], path, sizeof(path));
		prefix = strlen(path);
		good = good && nftw(path, make, 8, FTW_PHYS) == 0;
	}
	if (!good)
	{
		if (problem[0] == '\0')
			(void) failed("read", path);
		fprintf(stderr, "dbutil: error: %s\n", problem);
		if (nftw(service, unmake, 8, FTW_PHYS | FTW_DEPTH) != 0)
			fprintf(stderr, "HINT:  What was written of the folder %s could not be removed.\n", service);
		return CLI_FAILED;
	}
	printf("Wrote the service %s in %s. To build and test it: make -C %s check\n", service, parts[1], service);
	return CLI_OK;
}

const CliCommand cli_new_service = {
	.name = "new-service",
	.operand = "NAME",
	.summary = "write a small complete service into a new folder",
	.options = options,
	.run = run,
};
