/*
 * main.c
 *		The dbutil command: finds the subcommand, tells how each is called.
 *
 * Exit status: of the subcommand; 2 for a command line that cannot be understood,
 * in which case nothing was done (a subcommand may have another for that).
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define MESSAGE_SIZE 400

static const CliCommand *const commands[] = {&cli_check, &cli_enroll, &cli_withdraw, &cli_top, &cli_new_service, NULL};

static void
print_usage(FILE *to, const CliCommand *command)
{
	fprintf(to, "usage: dbutil %s [OPTION]...%s%s\n", command->name,
			command->operand != NULL ? " " : "", command->operand != NULL ? command->operand : "");
}

static void
print_command_help(const CliCommand *command)
{
	print_usage(stdout, command);
	printf("\n%s\n\n", command->summary);
	for (const CliOption *o = command->options; o->name != NULL; o++)
	{
		char		left[80];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument != NULL ? " " : "",
				 o->argument != NULL ? o->argument : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

static void
print_help(void)
{
	printf("usage: dbutil COMMAND [OPTION]...\n\n");
	for (const CliCommand *const *c = commands; *c != NULL; c++)
		printf("  %-14s %s\n", (*c)->name, (*c)->summary);
	printf("  %-14s %s\n", "help", "tell how a command is called: dbutil help COMMAND");
	printf("  %-14s %s\n", "version", "print the version");
	printf("\nThe manual: man dbutil\n");
}

/* A command line that cannot be understood: what is wrong, and where to read on. */
int
cli_bad_usage(const CliCommand *command, const char *message)
{
	if (command->usage_error != NULL)
		return command->usage_error(message);
	fprintf(stderr, "dbutil: error: %s\n", message);
	print_usage(stderr, command);
	fprintf(stderr, "dbutil help %s lists the options\n", command->name);
	return CLI_USAGE;
}

static const CliCommand *
find_command(const char *name)
{
	for (const CliCommand *const *c = commands; *c != NULL; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int
unknown_command(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0]) + 2];
	size_t		n = 0;

	while (commands[n] != NULL)
	{
		names[n] = commands[n]->name;
		n++;
	}
	names[n++] = "help";
	names[n++] = "version";
	names[n] = NULL;
	fprintf(stderr, "dbutil: error: unknown command \"%.40s\": the nearest is \"%s\"\n", name,
			cli_nearest(name, names));
	fprintf(stderr, "usage: dbutil COMMAND [OPTION]...\ndbutil help lists the commands\n");
	return CLI_USAGE;
}

/*
 * The words that may follow a subcommand and the word before, one a line: for the
 * shell's completion.
 */
static int
print_words(const char *name, const char *before)
{
	const CliCommand *command = name != NULL ? find_command(name) : NULL;

	if (command != NULL)
	{
		for (const CliOption *o = command->options; o->name != NULL; o++)
		{
			if (o->argument == NULL || before == NULL || strncmp(before, "--", 2) != 0 ||
				strcmp(before + 2, o->name) != 0)
				continue;
			for (const char *const *w = o->words; w != NULL && *w != NULL; w++)
				printf("%s\n", *w);
			return CLI_OK;
		}
		for (const CliOption *o = command->options; o->name != NULL; o++)
			printf("--%s\n", o->name);
		return CLI_OK;
	}
	for (const CliCommand *const *c = commands; *c != NULL; c++)
		printf("%s\n", (*c)->name);
	printf("help\nversion\n");
	return CLI_OK;
}

static int
help(int argc, char **argv)
{
	const CliCommand *command;

	if (argc > 0 && strcmp(argv[0], "--words") == 0)
		return print_words(argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
	if (argc == 0)
	{
		print_help();
		return CLI_OK;
	}
	command = find_command(argv[0]);
	if (command == NULL)
		return unknown_command(argv[0]);
	print_command_help(command);
	return CLI_OK;
}

int
main(int argc, char **argv)
{
	char		message[MESSAGE_SIZE] = "";
	const CliCommand *command;
	const char *operand;

	if (argc < 2)
	{
		fprintf(stderr, "dbutil: error: no command is given\nusage: dbutil COMMAND [OPTION]...\n"
				"dbutil help lists the commands\n");
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return help(argc - 2, argv + 2);
	if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0)
	{
		printf("dbutil %s\n", dbpool_version());
		return CLI_OK;
	}
	command = find_command(argv[1]);
	if (command == NULL)
		return unknown_command(argv[1]);
	if (argc == 3 && strcmp(argv[2], "--help") == 0)
	{
		print_command_help(command);
		return CLI_OK;
	}
	if (!cli_parse(command, argc - 2, argv + 2, &operand, message, sizeof(message)))
		return cli_bad_usage(command, message);
	return command->run(operand);
}
