/*
 * top.c
 *		dbutil top: what services and statements do now.
 *
 * On a terminal it goes on until q (top_screen.c); for scripts it prints frames
 * and ends.  Each frame tells what was added between two readings of counters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "top.h"

#define MESSAGE_SIZE 400

static const char *dsn;
static const char *service;
static const char *interval_text;
static const char *limit_text;
static const char *batch_text;
static const char *timeout_text;
static const char *by;
static bool once;
static bool no_extension;

static const CliOption options[] = {
	{.name = "dsn", .argument = "CONNINFO", .text = &dsn,
	.help = "where to connect; without it the PG* variables say"},
	{.name = "service", .argument = "NAME", .text = &service,
	.help = "only this one"},
	{.name = "interval", .argument = "SECONDS", .text = &interval_text,
	.help = "time between two readings, 1 to 3600 (2)"},
	{.name = "sort", .argument = "WORD", .text = &by, .words = top_order_words,
	.help = "by time (the default), calls, mean, rows or errors"},
	{.name = "limit", .argument = "N", .text = &limit_text,
	.help = "rows of each list, 1 to 1000 (20)"},
	{.name = "once", .flag = &once,
	.help = "print one frame, after one interval, and end"},
	{.name = "batch", .argument = "N", .text = &batch_text,
	.help = "print so many frames, and end"},
	{.name = "no-extension", .flag = &no_extension,
	.help = "go by pg_stat_statements and pg_stat_activity"},
	{.name = "timeout", .argument = "SECONDS", .text = &timeout_text,
	.help = "end if the server does not answer for so long, 1 to 3600 (10)"},
	{0}
};

static int
failed(const Top *top, const dbpool_error *err)
{
	cli_print_error(&top->session, "", err);
	return CLI_FAILED;
}

/* Print n frames; returns a DBPOOL_* code. */
static int
print_frames(Top *top, TopOrder order, long interval_s, long n, dbpool_error *err)
{
	for (long i = 0; i < n; i++)
	{
		struct timespec interval = {.tv_sec = interval_s};
		char	   *frame;
		int			code;

		while (nanosleep(&interval, &interval) != 0)
			;
		code = top_read(top, err);
		if (code != DBPOOL_OK)
			return code;
		frame = top_frame(top, order);
		if (frame == NULL)
		{
			err->code = DBPOOL_ENOMEM;
			snprintf(err->message, sizeof(err->message), "%s", dbpool_strerror(err->code));
			return err->code;
		}
		printf("%s%s", i > 0 ? "\n" : "", frame);
		fflush(stdout);
		free(frame);
	}
	return DBPOOL_OK;
}

static int
run(const char *operand)
{
	Top			top = {.session = CLI_SESSION_INIT, .timeout_s = 10, .limit = 20};
	dbpool_error err = DBPOOL_ERROR_INIT;
	char		message[MESSAGE_SIZE];
	TopOrder	order = TOP_BY_TIME;
	long		interval_s = 2;
	long		frames = once ? 1 : 0;
	int			code;
	int			status = CLI_OK;

	(void) operand;
	if (!cli_number("interval", interval_text, 1, 3600, &interval_s, message, sizeof(message)) ||
		!cli_number("limit", limit_text, 1, 1000, &top.limit, message, sizeof(message)) ||
		!cli_number("batch", batch_text, 1, 1000000, &frames, message, sizeof(message)) ||
		!cli_number("timeout", timeout_text, 1, 3600, &top.timeout_s, message, sizeof(message)))
		return cli_bad_usage(&cli_top, message);
	if (once && batch_text != NULL)
		return cli_bad_usage(&cli_top, "--once and --batch exclude each other");
	if (frames == 0 && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
		return cli_bad_usage(&cli_top, "there is no terminal: use --once or --batch");
	for (int i = 0; by != NULL && i < TOP_ORDERS; i++)
		if (strcmp(by, top_order_words[i]) == 0)
			order = (TopOrder) i;
	top.service = service;

	if (cli_connect(&top.session, dsn, top.timeout_s, &err) != DBPOOL_OK)
	{
		cli_print_error(&top.session, "cannot connect", &err);
		return CLI_FAILED;
	}
	code = top_find_source(&top, no_extension, &err);
	if (code == DBPOOL_OK)
		code = top_read(&top, &err);
	if (code == DBPOOL_OK && frames > 0)
		code = print_frames(&top, order, interval_s, frames, &err);
	else if (code == DBPOOL_OK)
		code = top_screen(&top, order, interval_s, &err);
	if (code != DBPOOL_OK)
		status = failed(&top, &err);
	top_forget(&top.before);
	top_forget(&top.now);
	cli_disconnect(&top.session);
	return status;
}

const CliCommand cli_top = {
	.name = "top",
	.summary = "show what services and statements do now",
	.options = options,
	.run = run,
};
