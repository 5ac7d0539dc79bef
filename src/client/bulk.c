/*
 * bulk.c
 *		Many rows in one statement: insert, upsert, update, delete.
 *
 * Plain inserts are COPY, which nothing beats.  The others are dbutil's bulk functions
 * where the extension is installed and the role may use them (but for updates and
 * deletes with JSON in them, which these take as JSON), else one statement over
 * arrays of text, one for each column, cast to the columns' types: a question to the
 * catalog comes first, for both.
 *
 * The cast is to the type without its length, so that a value that is too long is
 * refused by the assignment, as in INSERT, and not cut.
 */
#include <stdlib.h>
#include <string.h>

#include "dbpool_data.h"
#include "internal.h"
#include "text.h"

#define CHUNK (64 * 1024)

static const char about_sql[] =
	"SELECT a.attname, pg_catalog.format_type(a.atttypid, -1),"
	" a.atttypid OPERATOR(pg_catalog.=) ANY ('{json,jsonb}'::pg_catalog.regtype[]::pg_catalog.oid[]),"
	" EXISTS (SELECT FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) p.pronamespace"
	" JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) p.oid"
	" AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid"
	" AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid"
	" JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid"
	" WHERE e.extname OPERATOR(pg_catalog.=) 'dbutil' AND s.nspname OPERATOR(pg_catalog.=) 'dbutil'"
	" AND p.proname OPERATOR(pg_catalog.=) $3::pg_catalog.name"
	" AND pg_catalog.has_schema_privilege(s.oid, 'USAGE')"
	" AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))"
	" FROM pg_catalog.unnest($2::pg_catalog.text[]) WITH ORDINALITY AS c(name, n)"
	" LEFT JOIN pg_catalog.pg_attribute a"
	" ON a.attrelid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass::pg_catalog.oid"
	" AND a.attname OPERATOR(pg_catalog.=) c.name::pg_catalog.name"
	" AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped ORDER BY c.n";

/* One call. */
typedef struct
{
	dbpool_lease	   lease;
	int64_t			   deadline;
	const dbpool_rows *rows;
	int				   nkey; /* the first columns */
	PGresult		  *about; /* a line for each column, see about_sql */
	dbpool__text	   table; /* quoted */
	dbpool__text	   sql;
} job;

static const char *
value(const dbpool_rows *rows, size_t row, int column)
{
	return rows->values[row * (size_t) rows->ncolumns + (size_t) column];
}

/* The arguments, and a quoted name of the table. */
static int
begin(job *j, dbpool_lease lease, int64_t deadline, const dbpool_rows *rows, int nkey,
	  dbpool_error *err)
{
	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (rows == NULL || rows->size < sizeof(*rows) || rows->table == NULL || rows->ncolumns < 1 ||
		rows->ncolumns > 1600 || rows->columns == NULL || (rows->n > 0 && rows->values == NULL) ||
		rows->n > SIZE_MAX / sizeof(char *) / (size_t) rows->ncolumns)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"rows must be DBPOOL_ROWS_INIT with a table, 1 to 1600 columns and values");
	for (int c = 0; c < rows->ncolumns; c++)
		if (rows->columns[c] == NULL)
			return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL, "column %d is NULL", c);
	if (nkey < 0 || nkey > rows->ncolumns)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"the key must be some of the %d columns, not the first %d", rows->ncolumns,
							nkey);
	*j = (job) {.lease = lease, .deadline = deadline, .rows = rows, .nkey = nkey};
	if (!dbpool__text_table(&j->table, rows->table))
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"table must be \"name\" or \"schema.name\"");
	return dbpool__ok(err);
}

static void
end(job *j)
{
	PQclear(j->about);
	dbpool__text_free(&j->table);
	dbpool__text_free(&j->sql);
}

static int
no_memory(dbpool_error *err)
{
	return dbpool__fail(err, DBPOOL_ENOMEM, DBPOOL_NOT_SENT, NULL, "out of memory");
}

/*
 * In these encodings a byte of a character may look like a backslash or a quote.
 */
static int
check_encoding(const job *j, dbpool_error *err)
{
	static const char *const unsafe[] = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "UHC",
										 "JOHAB"};
	const PGconn *conn = dbpool_conn(j->lease);
	const char	 *encoding = conn != NULL ? PQparameterStatus(conn, "client_encoding") : NULL;

	for (size_t i = 0; encoding != NULL && i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		if (strcmp(encoding, unsafe[i]) == 0)
			return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
								"not with client_encoding %s: set another one", encoding);
	return conn != NULL ? dbpool__ok(err) : dbpool_lease_check(j->lease, err);
}

/* "a", "b" of columns [from, to), each with its prefix. */
static void
add_columns(const job *j, dbpool__text *text, int from, int to, const char *prefix)
{
	for (int c = from; c < to; c++)
	{
		if (c > from)
			dbpool__text_add(text, ", ");
		dbpool__text_add(text, prefix);
		dbpool__text_name(text, j->rows->columns[c]);
	}
}

/* ["a", "b"] or {"a","b"} of the first n columns. */
static void
add_names(const job *j, dbpool__text *text, int n, bool json)
{
	dbpool__text_add(text, json ? "[" : "{");
	for (int c = 0; c < n; c++)
	{
		if (c > 0)
			dbpool__text_add(text, ",");
		if (json)
			dbpool__text_json(text, j->rows->columns[c]);
		else
			dbpool__text_element(text, j->rows->columns[c]);
	}
	dbpool__text_add(text, json ? "]" : "}");
}

static void
add_copy_row(dbpool__text *text, const dbpool_rows *rows, size_t row)
{
	for (int c = 0; c < rows->ncolumns; c++)
	{
		if (c > 0)
			dbpool__text_add(text, "\t");
		dbpool__text_copy(text, value(rows, row, c));
	}
	dbpool__text_add(text, "\n");
}

/*
 * Ask for the columns' types, and whether dbutil's function can be used: *dbutil.
 */
static int
ask(job *j, const char *function, bool *dbutil, dbpool_error *err)
{
	dbpool__text  names = {0};
	const char	 *values[3] = {j->table.data, NULL, function};
	dbpool_params params = {.size = sizeof(params), .n = 3, .values = values};
	int			  code;

	add_names(j, &names, j->rows->ncolumns, false);
	values[1] = names.data;
	if (names.failed || j->table.failed)
		code = no_memory(err);
	else
		code = dbpool_exec(j->lease, j->deadline, about_sql, &params, &j->about, err);
	dbpool__text_free(&names);
	for (int c = 0; code == DBPOOL_OK && c < j->rows->ncolumns; c++)
		if (PQgetisnull(j->about, c, 0))
			code = dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
								"the table \"%.100s\" has no column \"%.100s\"", j->rows->table,
								j->rows->columns[c]);
	*dbutil = code == DBPOOL_OK && strcmp(PQgetvalue(j->about, 0, 3), "t") == 0;
	return code;
}

/* ROWS FROM (unnest($1), unnest($2)) AS u("a", "b") */
static void
add_source(job *j)
{
	char number[64];

	dbpool__text_add(&j->sql, " ROWS FROM (");
	for (int c = 0; c < j->rows->ncolumns; c++)
	{
		snprintf(number, sizeof(number), "%spg_catalog.unnest($%d::pg_catalog.text[])",
				 c > 0 ? ", " : "", c + 1);
		dbpool__text_add(&j->sql, number);
	}
	dbpool__text_add(&j->sql, ") AS dbpool_u(");
	add_columns(j, &j->sql, 0, j->rows->ncolumns, "");
	dbpool__text_add(&j->sql, ")");
}

/* dbpool_u."a"::integer */
static void
add_cast(job *j, int c)
{
	dbpool__text_add(&j->sql, "dbpool_u.");
	dbpool__text_name(&j->sql, j->rows->columns[c]);
	dbpool__text_add(&j->sql, "::");
	dbpool__text_add(&j->sql, PQgetvalue(j->about, c, 1));
}

/* WHERE the key is that of the source */
static void
add_match(job *j)
{
	for (int c = 0; c < j->nkey; c++)
	{
		dbpool__text_add(&j->sql, c == 0 ? " WHERE dbpool_t." : " AND dbpool_t.");
		dbpool__text_name(&j->sql, j->rows->columns[c]);
		dbpool__text_add(&j->sql, " = ");
		add_cast(j, c);
	}
}

/* Run j->sql with one array for each column; *n is the rows it wrote. */
static int
run_arrays(job *j, uint64_t *n, dbpool_error *err)
{
	int			  ncolumns = j->rows->ncolumns;
	dbpool__text *arrays = calloc((size_t) ncolumns, sizeof(*arrays));
	const char	**values = calloc((size_t) ncolumns, sizeof(*values));
	bool		  failed = arrays == NULL || values == NULL || j->sql.failed;
	dbpool_params params = {.size = sizeof(params), .n = ncolumns, .values = values};
	PGresult	 *res = NULL;
	int			  code;

	for (int c = 0; !failed && c < ncolumns; c++)
	{
		for (size_t row = 0; row < j->rows->n; row++)
		{
			dbpool__text_add(&arrays[c], row == 0 ? "{" : ",");
			dbpool__text_element(&arrays[c], value(j->rows, row, c));
		}
		dbpool__text_add(&arrays[c], "}");
		values[c] = arrays[c].data;
		failed = arrays[c].failed;
	}
	code = failed ? no_memory(err)
				  : dbpool_exec(j->lease, j->deadline, j->sql.data, &params, &res, err);
	if (code == DBPOOL_OK)
		*n = strtoull(PQcmdTuples(res), NULL, 10);
	PQclear(res);
	for (int c = 0; arrays != NULL && c < ncolumns; c++)
		dbpool__text_free(&arrays[c]);
	free(arrays);
	free(values);
	return code;
}

/* Run one of dbutil's functions, whose result is one number. */
static int
run_dbutil(job *j, const char *sql, const dbpool__text *data, int format, const dbpool__text *options,
		   uint64_t *n, dbpool_error *err)
{
	const char	 *values[3] = {j->table.data, data->data, options->data};
	const int	  lengths[3] = {0, (int) data->n, 0};
	const int	  formats[3] = {0, format, 0};
	dbpool_params params = {.size = sizeof(params), .n = 3, .values = values, .lengths = lengths,
							.formats = formats};
	PGresult	 *res = NULL;
	int			  code;

	if (data->failed || options->failed)
		return no_memory(err);
	if (data->n > INT32_MAX)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"%zu bytes are too many for one statement", data->n);
	code = dbpool_exec(j->lease, j->deadline, sql, &params, &res, err);
	if (code == DBPOOL_OK)
		*n = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	return code;
}

/* ---- insert ---- */

/* The rows as COPY's data, a chunk at a time. */
typedef struct
{
	const dbpool_rows *rows;
	size_t			   next;
	dbpool__text	   text;
	size_t			   given;
} stream;

static int64_t
next_chunk(void *arg, char *buffer, size_t size)
{
	stream *s = arg;
	size_t	n;

	if (s->given == s->text.n)
	{
		s->text.n = s->given = 0;
		while (s->next < s->rows->n && s->text.n < CHUNK && !s->text.failed)
			add_copy_row(&s->text, s->rows, s->next++);
	}
	if (s->text.failed)
		return -1;
	n = s->text.n - s->given < size ? s->text.n - s->given : size;
	/* without a row there is no data to point to */
	if (n > 0)
		memcpy(buffer, s->text.data + s->given, n);
	s->given += n;
	return (int64_t) n;
}

static int
insert_by_copy(job *j, uint64_t *n, dbpool_error *err)
{
	stream s = {.rows = j->rows};
	int	   code;

	dbpool__text_add(&j->sql, "COPY ");
	dbpool__text_add(&j->sql, j->table.data);
	dbpool__text_add(&j->sql, " (");
	add_columns(j, &j->sql, 0, j->rows->ncolumns, "");
	dbpool__text_add(&j->sql, ") FROM STDIN");
	if (j->sql.failed)
		return no_memory(err);
	code = dbpool_copy_in(j->lease, j->deadline, j->sql.data, next_chunk, &s, n, err);
	if (s.text.failed)
		code = dbpool__fail(err, DBPOOL_ENOMEM, DBPOOL_TX_ABORTED, NULL, "out of memory");
	dbpool__text_free(&s.text);
	return code;
}

static int
upsert_by_dbutil(job *j, int on_conflict, uint64_t *n, dbpool_error *err)
{
	dbpool__text data = {0};
	dbpool__text options = {0};
	int			 code;

	for (size_t row = 0; row < j->rows->n; row++)
		add_copy_row(&data, j->rows, row);
	dbpool__text_add(&options, "{\"columns\": ");
	add_names(j, &options, j->rows->ncolumns, true);
	dbpool__text_add(&options, on_conflict == DBPOOL_CONFLICT_UPDATE ? ", \"on_conflict\": \"update\""
																	 : ", \"on_conflict\": \"nothing\"");
	if (j->nkey > 0)
	{
		dbpool__text_add(&options, ", \"conflict_columns\": ");
		add_names(j, &options, j->nkey, true);
	}
	dbpool__text_add(&options, "}");
	code = run_dbutil(j,
					  "SELECT r.inserted OPERATOR(pg_catalog.+) r.updated FROM"
					  " dbutil.bulk_insert_data($1::pg_catalog.regclass, $2::pg_catalog.bytea, 'text',"
					  " $3::pg_catalog.jsonb) r",
					  &data, 1, &options, n, err);
	dbpool__text_free(&data);
	dbpool__text_free(&options);
	return code;
}

static int
upsert_by_arrays(job *j, int on_conflict, uint64_t *n, dbpool_error *err)
{
	int ncolumns = j->rows->ncolumns;

	dbpool__text_add(&j->sql, "INSERT INTO ");
	dbpool__text_add(&j->sql, j->table.data);
	dbpool__text_add(&j->sql, " (");
	add_columns(j, &j->sql, 0, ncolumns, "");
	dbpool__text_add(&j->sql, ") SELECT ");
	for (int c = 0; c < ncolumns; c++)
	{
		if (c > 0)
			dbpool__text_add(&j->sql, ", ");
		add_cast(j, c);
	}
	dbpool__text_add(&j->sql, " FROM");
	add_source(j);
	dbpool__text_add(&j->sql, " ON CONFLICT");
	if (j->nkey > 0)
	{
		dbpool__text_add(&j->sql, " (");
		add_columns(j, &j->sql, 0, j->nkey, "");
		dbpool__text_add(&j->sql, ")");
	}
	if (on_conflict == DBPOOL_CONFLICT_NOTHING)
		dbpool__text_add(&j->sql, " DO NOTHING");
	else
	{
		dbpool__text_add(&j->sql, " DO UPDATE SET (");
		add_columns(j, &j->sql, j->nkey, ncolumns, "");
		dbpool__text_add(&j->sql, ") = ROW(");
		add_columns(j, &j->sql, j->nkey, ncolumns, "excluded.");
		dbpool__text_add(&j->sql, ")");
	}
	return run_arrays(j, n, err);
}

int
dbpool_bulk_insert(dbpool_lease lease, int64_t deadline, const dbpool_rows *rows, int on_conflict,
				   int nkey, uint64_t *n, dbpool_error *err)
{
	uint64_t written = 0;
	bool	 dbutil = false;
	job		 j = {0};
	int		 code = begin(&j, lease, deadline, rows, nkey, err);

	if (code == DBPOOL_OK &&
		(on_conflict < DBPOOL_CONFLICT_ERROR || on_conflict > DBPOOL_CONFLICT_UPDATE ||
		 (on_conflict == DBPOOL_CONFLICT_UPDATE && (nkey == 0 || nkey == rows->ncolumns))))
		code = dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"on_conflict must be DBPOOL_CONFLICT_*, and an update needs a key and other "
							"columns");
	if (code == DBPOOL_OK)
		code = check_encoding(&j, err);
	if (code == DBPOOL_OK && on_conflict != DBPOOL_CONFLICT_ERROR)
		code = ask(&j, "bulk_insert_data", &dbutil, err);
	if (code == DBPOOL_OK && rows->n > 0)
	{
		if (on_conflict == DBPOOL_CONFLICT_ERROR)
			code = insert_by_copy(&j, &written, err);
		else if (dbutil)
			code = upsert_by_dbutil(&j, on_conflict, &written, err);
		else
			code = upsert_by_arrays(&j, on_conflict, &written, err);
	}
	if (n != NULL)
		*n = code == DBPOOL_OK ? written : 0;
	end(&j);
	return code;
}

/* ---- update and delete ---- */

/*
 * Is a column of JSON?  Inside of JSON its null could not be told from that of SQL, and
 * its blanks would be lost.
 */
static bool
has_json(const job *j)
{
	for (int c = 0; c < j->rows->ncolumns; c++)
		if (strcmp(PQgetvalue(j->about, c, 2), "t") == 0)
			return true;
	return false;
}

/* By dbutil: rows as JSON objects of strings. */
static int
change_by_dbutil(job *j, const char *sql, uint64_t *n, dbpool_error *err)
{
	dbpool__text data = {0};
	dbpool__text key = {0};
	int			 code;

	for (size_t row = 0; row < j->rows->n; row++)
	{
		dbpool__text_add(&data, row == 0 ? "[" : ",\n");
		for (int c = 0; c < j->rows->ncolumns; c++)
		{
			dbpool__text_add(&data, c == 0 ? "{" : ", ");
			dbpool__text_json(&data, j->rows->columns[c]);
			dbpool__text_add(&data, ": ");
			dbpool__text_json(&data, value(j->rows, row, c));
		}
		dbpool__text_add(&data, "}");
	}
	dbpool__text_add(&data, "]");
	add_names(j, &key, j->nkey, false);
	code = run_dbutil(j, sql, &data, 0, &key, n, err);
	dbpool__text_free(&data);
	dbpool__text_free(&key);
	return code;
}

static int
update_by_arrays(job *j, uint64_t *n, dbpool_error *err)
{
	dbpool__text_add(&j->sql, "UPDATE ");
	dbpool__text_add(&j->sql, j->table.data);
	dbpool__text_add(&j->sql, " AS dbpool_t SET ");
	for (int c = j->nkey; c < j->rows->ncolumns; c++)
	{
		if (c > j->nkey)
			dbpool__text_add(&j->sql, ", ");
		dbpool__text_name(&j->sql, j->rows->columns[c]);
		dbpool__text_add(&j->sql, " = ");
		add_cast(j, c);
	}
	dbpool__text_add(&j->sql, " FROM");
	add_source(j);
	add_match(j);
	return run_arrays(j, n, err);
}

static int
delete_by_arrays(job *j, uint64_t *n, dbpool_error *err)
{
	dbpool__text_add(&j->sql, "DELETE FROM ");
	dbpool__text_add(&j->sql, j->table.data);
	dbpool__text_add(&j->sql, " AS dbpool_t USING");
	add_source(j);
	add_match(j);
	return run_arrays(j, n, err);
}

int
dbpool_bulk_update(dbpool_lease lease, int64_t deadline, const dbpool_rows *rows, int nkey,
				   uint64_t *n, dbpool_error *err)
{
	uint64_t written = 0;
	bool	 dbutil = false;
	job		 j = {0};
	int		 code = begin(&j, lease, deadline, rows, nkey, err);

	if (code == DBPOOL_OK && (nkey == 0 || nkey == rows->ncolumns))
		code = dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"an update needs a key and other columns");
	if (code == DBPOOL_OK)
		code = check_encoding(&j, err);
	if (code == DBPOOL_OK)
		code = ask(&j, "bulk_update", &dbutil, err);
	if (code == DBPOOL_OK && rows->n > 0)
		code = dbutil && !has_json(&j)
			? change_by_dbutil(&j,
							   "SELECT r.updated FROM dbutil.bulk_update($1::pg_catalog.regclass,"
							   " $2::pg_catalog.jsonb, key => $3::pg_catalog.name[]) r",
							   &written, err)
			: update_by_arrays(&j, &written, err);
	if (n != NULL)
		*n = code == DBPOOL_OK ? written : 0;
	end(&j);
	return code;
}

int
dbpool_bulk_delete(dbpool_lease lease, int64_t deadline, const dbpool_rows *rows, uint64_t *n,
				   dbpool_error *err)
{
	uint64_t written = 0;
	bool	 dbutil = false;
	job		 j = {0};
	int		 code = begin(&j, lease, deadline, rows, rows != NULL ? rows->ncolumns : 0, err);

	if (code == DBPOOL_OK)
		code = check_encoding(&j, err);
	if (code == DBPOOL_OK)
		code = ask(&j, "bulk_delete", &dbutil, err);
	if (code == DBPOOL_OK && rows->n > 0)
		code = dbutil && !has_json(&j)
			? change_by_dbutil(&j,
							   "SELECT r.deleted FROM dbutil.bulk_delete($1::pg_catalog.regclass,"
							   " $2::pg_catalog.jsonb, key => $3::pg_catalog.name[]) r",
							   &written, err)
			: delete_by_arrays(&j, &written, err);
	if (n != NULL)
		*n = code == DBPOOL_OK ? written : 0;
	end(&j);
	return code;
}
