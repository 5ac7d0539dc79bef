/*-------------------------------------------------------------------------
 *
 * copy.c
 *	  Rows from data in a format of COPY, read by PostgreSQL's own COPY FROM.
 *
 * COPY reads values as the columns' types; what it does with them afterwards is
 * not used.  Without a list of columns the data has all that can be written, as
 * for COPY.
 *
 * In text and CSV a bad row ends with its line, so it can be rejected.  Binary
 * data cannot be read on behind an error.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/table.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

typedef struct DataSource
{
	DbuSource	pub;
	CopyFromState state;
	bool		binary;
	const char *data;			/* not read yet */
	Size		left;
	ExprContext *econtext;
	Datum	   *values;			/* by attribute */
	bool	   *nulls;
} DataSource;

/* COPY's callback for data has no argument of its own: set before COPY is asked to read. */
static DataSource *reading;

static int
read_data(void *to, int least, int most)
{
	int			n = (int) Min(reading->left, (Size) most);

	memcpy(to, reading->data, n);
	reading->data += n;
	reading->left -= n;
	return n;
}

static bool
next_line(DbuSource *pub, DbuRow *row)
{
	DataSource *source = (DataSource *) pub;
	DbuBulkCall *call = pub->call;
	volatile bool found = false;

	ResetExprContext(source->econtext);
	row->ord++;
	reading = source;
	PG_TRY();
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(source->econtext->ecxt_per_tuple_memory);

		found = NextCopyFrom(source->state, source->econtext, source->values, source->nulls);
		MemoryContextSwitchTo(oldcxt);
	}
	PG_CATCH();
	{
		for (int i = 0; i < call->ncolumns && source->state->cur_attname != NULL; i++)
		{
			if (strcmp(call->columns[i]->name, source->state->cur_attname) == 0)
				row->position = i;
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	for (int i = 0; found && i < call->ncolumns; i++)
	{
		row->values[i] = source->values[call->columns[i]->attnum - 1];
		row->nulls[i] = source->nulls[call->columns[i]->attnum - 1];
	}
	return found;
}

/* The line, as a JSON string. */
static Datum
describe_line(DbuSource *pub, DbuRow *row)
{
	DataSource *source = (DataSource *) pub;
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = pstrdup(source->state->line_buf.data);
	value.val.string.len = strlen(value.val.string.val);
	return JsonbPGetDatum(JsonbValueToJsonb(&value));
}

/* Columns in the order in which the data has them. */
static List *
attribute_names(DbuBulkCall *call)
{
	List	   *names = NIL;

	for (int i = 0; i < call->ncolumns; i++)
		names = lappend(names, makeString((char *) call->columns[i]->name));
	return names;
}

DbuSource *
dbu_bulk_copy_open(DbuBulkCall *call, Datum bytes, const char *format)
{
	DataSource *source = palloc0(sizeof(DataSource));
	Relation	rel = table_open(call->target->relid, AccessShareLock);
	bytea	   *copy = DatumGetByteaPP(bytes);
	ParseState *pstate = make_parsestate(NULL);

	dbu_bulk_key_resolve(call);
	if (call->opt.columns == NIL)
	{
		for (int i = 0; i < call->target->ncolumns; i++)
		{
			if (!call->target->columns[i].generated)
				call->opt.columns = lappend(call->opt.columns, call->target->columns[i].name);
		}
	}
	dbu_bulk_columns_choose(call, NULL, false);

	source->data = VARDATA_ANY(copy);
	source->left = VARSIZE_ANY_EXHDR(copy);
	reading = source;
	source->state = BeginCopyFrom(pstate, rel, NULL, NULL, false, read_data, attribute_names(call),
								  list_make1(makeDefElem("format", (Node *) makeString(pstrdup(format)), -1)));
	/* columns that are not in the data are none of COPY's business */
	source->state->num_defaults = 0;
	source->binary = strcmp(format, "binary") == 0;
	source->econtext = CreateStandaloneExprContext();
	source->values = palloc0(sizeof(Datum) * Max(RelationGetDescr(rel)->natts, 1));
	source->nulls = palloc0(sizeof(bool) * Max(RelationGetDescr(rel)->natts, 1));
	source->pub.call = call;
	source->pub.next = next_line;
	source->pub.describe = describe_line;
	source->pub.all_or_nothing = source->binary;
	source->pub.row.values = palloc(sizeof(Datum) * Max(call->ncolumns, 1));
	source->pub.row.nulls = palloc(sizeof(bool) * Max(call->ncolumns, 1));
	source->pub.row.shape = dbu_bulk_shape_full(call);
	table_close(rel, NoLock);
	return &source->pub;
}
