/*
 * top_screen.c
 *		dbutil top on a terminal, by ncurses.
 *
 * Draws the text of top_frame.c, cut to the window.  The terminal is put back on
 * every way out: an error is returned to be told afterwards.
 */
#define _GNU_SOURCE				/* wcwidth */
#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "top.h"

/* Bytes of the line that fit into so many columns; what is no text ends it. */
static int
fitting(const char *line, size_t len, int columns)
{
	mbstate_t	state;
	size_t		at = 0;
	int			used = 0;

	memset(&state, 0, sizeof(state));
	while (at < len)
	{
		wchar_t		c;
		size_t		bytes = mbrtowc(&c, line + at, len - at, &state);
		int			width;

		if (bytes == 0 || bytes > len - at)
			break;
		width = wcwidth(c);
		if (width < 0 || used + width > columns)
			break;
		used += width;
		at += bytes;
	}
	return (int) at;
}

static void
draw(const char *frame)
{
	int			row = 0;

	erase();
	while (*frame != '\0' && row < LINES - 1)
	{
		size_t		len = strcspn(frame, "\n");

		(void) mvaddnstr(row++, 0, frame, fitting(frame, len, COLS));
		frame += len;
		if (*frame == '\n')
			frame++;
	}
	attron(A_REVERSE);
	(void) mvaddnstr(LINES - 1, 0, "q quit   sort by: t time  c calls  m mean  r rows  e errors", COLS);
	attroff(A_REVERSE);
	refresh();
}

/* The order that a key asks for; *order is left alone by others. */
static void
by_key(int key, TopOrder *order)
{
	for (int i = 0; i < TOP_ORDERS; i++)
		if (key == top_order_words[i][0])
			*order = (TopOrder) i;
}

/* Show frame after frame until q. */
static int
watch(Top *top, TopOrder order, long interval_s, dbpool_error *err)
{
	int64_t		next = dbpool_deadline_ms(interval_s * 1000);
	int			code;

	for (;;)
	{
		/* up to a tenth of a second later than asked for */
		int			key = getch();

		if (key == 'q' || key == 'Q')
			return DBPOOL_OK;
		if (key == ERR && dbpool_deadline_ms(0) < next)
			continue;
		if (key == ERR)
		{
			next = dbpool_deadline_ms(interval_s * 1000);
			code = top_read(top, err);
			if (code != DBPOOL_OK)
				return code;
		}
		by_key(key, &order);
		if (top->before.services != NULL)
		{
			char	   *frame = top_frame(top, order);

			if (frame == NULL)
			{
				err->code = DBPOOL_ENOMEM;
				snprintf(err->message, sizeof(err->message), "%s", dbpool_strerror(err->code));
				return err->code;
			}
			draw(frame);
			free(frame);
		}
	}
}

/* From a first reading on; returns DBPOOL_OK at q. */
int
top_screen(Top *top, TopOrder order, long interval_s, dbpool_error *err)
{
	SCREEN	   *screen;
	int			code;

	setlocale(LC_CTYPE, "");
	/* initscr() would end the process */
	screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
	{
		err->code = DBPOOL_ESYSTEM;
		snprintf(err->message, sizeof(err->message),
				 "this terminal cannot be used, see TERM; --batch needs none");
		return err->code;
	}
	(void) cbreak();
	(void) noecho();
	(void) curs_set(0);
	(void) keypad(stdscr, TRUE);
	timeout(100);
	draw("reading ...\n");
	code = watch(top, order, interval_s, err);
	(void) endwin();
	delscreen(screen);
	return code;
}
