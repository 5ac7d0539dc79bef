/*-------------------------------------------------------------------------
 *
 * tables.c
 *	  Which tables a statement reads and writes.
 *
 * Noted once for each (database, role, queryid), so that what services do to
 * tables is a join with the counters of statements and costs an execution no more
 * than to see that its statement is known: a look at one cache line, without a
 * lock.  The statements are kept in sets of WAYS, as a processor's cache keeps
 * lines; a new one takes the place of the one that is longest in its set.
 *
 * Names of tables are kept in a list of fixed size, as those of services are:
 * with them other databases can be shown, and their number is bounded.  A table
 * that finds no room counts as <other>, a temporary one as <temporary>.
 *
 * One LWLock, held exclusively, allows to change all of it, but keys are read
 * without.  Names are looked up in the catalogs before it is taken.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "track/watch.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/pathnodes.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_statement_tables);

#define WAYS 8
#define MAX_TABLES 8
#define NAME_SIZE (2 * NAMEDATALEN)

#define OTHER_TABLE 0
#define TEMPORARY_TABLE 1

typedef struct TableName
{
	Oid			database;		/* 0: the two that stand for others */
	Oid			relid;
	int32		encoding;
	char		name[NAME_SIZE];
} TableName;

typedef struct TableUse
{
	int32		table;			/* index into names */
	int32		operation;		/* CmdType */
} TableUse;

typedef struct NotedStatement
{
	PlanKey		key;
	int32		nuses;
	TableUse	uses[MAX_TABLES];
} NotedStatement;

typedef struct NotedSet
{
	pg_atomic_uint64 hashes[WAYS];	/* of the keys, 0: none */
} NotedSet;

typedef struct TablesShared
{
	LWLock		lock;
	int32		nnames;
	int32		nstatements;
	int64		tables_dropped; /* times that a table became <other> */
	int64		statements_dropped; /* that gave way */
	TimestampTz stats_since;
} TablesShared;

static int	max_tables = 1000;

static TablesShared *shared = NULL;
static NotedSet *sets = NULL;
static uint8 *hands = NULL;		/* of each set: who gives way next */
static NotedStatement *statements = NULL;
static TableName *names = NULL;

/* Twice as many statements as are counted, so that few sets are full. */
static int
nsets(void)
{
	return dbu_track_max * 2 / WAYS;
}

static void
init(void)
{
	DefineCustomIntVariable("dbutil.track_tables_max",
							"Tables that are told apart in dbutil.service_tables.",
							"Those that come later count together as <other>.",
							&max_tables, 1000, 10, 10000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

static Size
shmem_size(void)
{
	Size		size = CACHELINEALIGN(sizeof(TablesShared));

	size = add_size(size, CACHELINEALIGN(mul_size(nsets(), sizeof(NotedSet))));
	size = add_size(size, CACHELINEALIGN(nsets()));
	size = add_size(size, MAXALIGN(mul_size(mul_size(nsets(), WAYS), sizeof(NotedStatement))));
	return add_size(size, mul_size(max_tables, sizeof(TableName)));
}

/* Exclusive lock, or nobody else there. */
static void
clear(void)
{
	for (int s = 0; s < nsets(); s++)
	{
		for (int w = 0; w < WAYS; w++)
			pg_atomic_write_u64(&sets[s].hashes[w], 0);
		hands[s] = 0;
	}
	memset(names, 0, 2 * sizeof(TableName));
	strlcpy(names[OTHER_TABLE].name, "<other>", NAME_SIZE);
	strlcpy(names[TEMPORARY_TABLE].name, "<temporary>", NAME_SIZE);
	shared->nnames = 2;
	shared->nstatements = 0;
	shared->tables_dropped = shared->statements_dropped = 0;
	shared->stats_since = GetCurrentTimestamp();
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	char	   *place = chunk;

	shared = chunk;
	place += CACHELINEALIGN(sizeof(TablesShared));
	sets = (NotedSet *) place;
	place += CACHELINEALIGN(mul_size(nsets(), sizeof(NotedSet)));
	hands = (uint8 *) place;
	place += CACHELINEALIGN(nsets());
	statements = (NotedStatement *) place;
	place += MAXALIGN(mul_size(mul_size(nsets(), WAYS), sizeof(NotedStatement)));
	names = (TableName *) place;
	if (found)
		return;
	LWLockInitialize(&shared->lock, lwlock_tranche);
	for (int s = 0; s < nsets(); s++)
	{
		for (int w = 0; w < WAYS; w++)
			pg_atomic_init_u64(&sets[s].hashes[w], 0);
	}
	clear();
}

/* ---------- a statement's tables ---------- */

typedef struct FoundTable
{
	Oid			relid;
	CmdType		operation;
	bool		temporary;
	char		name[NAME_SIZE];
} FoundTable;

/* The members of the range table that are written, as the statement names them. */
static Bitmapset *
find_targets(const PlannedStmt *stmt)
{
	Bitmapset  *targets = NULL;
	ListCell   *lc;

	foreach(lc, stmt->resultRelations)
		targets = bms_add_member(targets, lfirst_int(lc));
	if (targets == NULL)
		return NULL;
	/* children come behind their parents */
	for (int i = list_length(stmt->appendRelations) - 1; i >= 0; i--)
	{
		AppendRelInfo *appended = list_nth_node(AppendRelInfo, stmt->appendRelations, i);

		if (bms_is_member(appended->child_relid, targets))
			targets = bms_add_member(targets, appended->parent_relid);
	}
	return targets;
}

static CmdType
operation_on(const PlannedStmt *stmt, AclMode perms, bool target)
{
	if (!target)
		return CMD_SELECT;
	if (stmt->commandType == CMD_MERGE)
		return CMD_MERGE;
	if (perms & ACL_INSERT)
		return CMD_INSERT;
	return perms & ACL_UPDATE ? CMD_UPDATE : CMD_DELETE;
}

static void
find_name(FoundTable *found)
{
	Oid			namespace = get_rel_namespace(found->relid);
	char	   *schema = get_namespace_name(namespace);
	char	   *name = get_rel_name(found->relid);

	found->temporary = isAnyTempNamespace(namespace);
	/* what was dropped in the meantime has no name any more */
	if (schema != NULL && name != NULL)
		snprintf(found->name, NAME_SIZE, "%s.%s", schema, name);
	else
		snprintf(found->name, NAME_SIZE, "%u", found->relid);
}

/* How many there are; those beyond MAX_TABLES are not written to found. */
static int
find_tables(const PlannedStmt *stmt, FoundTable *found)
{
	Bitmapset  *targets = find_targets(stmt);
	int			n = 0;
	Index		rti = 0;
	ListCell   *lc;

	foreach(lc, stmt->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		AclMode		perms;
		CmdType		operation;
		int			i;

		rti++;
		/* the tables of a view are there too; EXCLUDED is none */
		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW ||
			rte->relkind == RELKIND_COMPOSITE_TYPE)
			continue;
		/* what the planner added, children among it, needs no rights */
		perms = dbu_required_perms(stmt, rte);
		if (perms == 0)
			continue;
		operation = operation_on(stmt, perms, bms_is_member(rti, targets));
		for (i = 0; i < Min(n, MAX_TABLES); i++)
		{
			if (found[i].relid == rte->relid && found[i].operation == operation)
				break;
		}
		if (i < Min(n, MAX_TABLES))
			continue;
		if (n < MAX_TABLES)
		{
			found[n].relid = rte->relid;
			found[n].operation = operation;
			find_name(&found[n]);
		}
		n++;
	}
	bms_free(targets);
	return n;
}

/* ---------- noting it; under the exclusive lock ---------- */

static int32
table_number(const FoundTable *found)
{
	int32		i;

	if (found->temporary)
		return TEMPORARY_TABLE;
	for (i = TEMPORARY_TABLE + 1; i < shared->nnames; i++)
	{
		if (names[i].relid == found->relid && names[i].database == MyDatabaseId)
			break;
	}
	if (i == max_tables)
	{
		shared->tables_dropped++;
		return OTHER_TABLE;
	}
	shared->nnames = Max(shared->nnames, i + 1);
	names[i].database = MyDatabaseId;
	names[i].relid = found->relid;
	names[i].encoding = GetDatabaseEncoding();
	/* again, as it may have been renamed */
	strlcpy(names[i].name, found->name, NAME_SIZE);
	return i;
}

static void
add_statement(int set, uint64 hash, const PlanKey *key, const FoundTable *found, int n)
{
	int			way = hands[set];
	NotedStatement *noted = &statements[set * WAYS + way];

	hands[set] = (way + 1) % WAYS;
	if (pg_atomic_read_u64(&sets[set].hashes[way]) != 0)
		shared->statements_dropped++;
	else
		shared->nstatements++;
	noted->key = *key;
	noted->nuses = Min(n, MAX_TABLES);
	for (int i = 0; i < noted->nuses; i++)
		noted->uses[i] = (TableUse) {table_number(&found[i]), found[i].operation};
	/* more than there is room for, which no setting mends: the last stands for the rest */
	if (n > MAX_TABLES)
		noted->uses[MAX_TABLES - 1] = (TableUse) {OTHER_TABLE, CMD_SELECT};
	pg_atomic_write_u64(&sets[set].hashes[way], hash);
}

static bool
is_noted(int set, uint64 hash)
{
	for (int w = 0; w < WAYS; w++)
	{
		if (pg_atomic_read_u64(&sets[set].hashes[w]) == hash)
			return true;
	}
	return false;
}

/* At the end of each execution; key_hash is the key's. */
void
dbu_tables_note(const PlanKey *key, uint64 key_hash, const PlannedStmt *stmt)
{
	uint64		hash = key_hash | 1;
	int			set = dbu_plan_key_place(hash >> 32, nsets());
	FoundTable	found[MAX_TABLES];
	int			n;

	if (is_noted(set, hash))
		return;
	n = find_tables(stmt, found);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (!is_noted(set, hash))
		add_statement(set, hash, key, found, n);
	LWLockRelease(&shared->lock);
}

/* The same for what has no plan, but writes one table. */
void
dbu_tables_note_target(const PlanKey *key, uint64 key_hash, Oid target, CmdType operation)
{
	uint64		hash = key_hash | 1;
	int			set = dbu_plan_key_place(hash >> 32, nsets());
	FoundTable	found = {.relid = target,.operation = operation};

	if (is_noted(set, hash))
		return;
	find_name(&found);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (!is_noted(set, hash))
		add_statement(set, hash, key, &found, 1);
	LWLockRelease(&shared->lock);
}

void
dbu_tables_reset(void)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	clear();
	LWLockRelease(&shared->lock);
}

/* ---------- readers ---------- */

static const char *
operation_word(int32 operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return "insert";
		case CMD_UPDATE:
			return "update";
		case CMD_DELETE:
			return "delete";
		case CMD_MERGE:
			return "merge";
		default:
			return "select";
	}
}

static NotedStatement *
copy_statements(TableName **tables, int *count)
{
	NotedStatement *copy = palloc_extended(mul_size(mul_size(nsets(), WAYS), sizeof(NotedStatement)),
										   MCXT_ALLOC_HUGE);
	int			n = 0;

	*tables = palloc_extended(mul_size(max_tables, sizeof(TableName)), MCXT_ALLOC_HUGE);
	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < nsets() * WAYS; i++)
	{
		if (pg_atomic_read_u64(&sets[i / WAYS].hashes[i % WAYS]) != 0)
			copy[n++] = statements[i];
	}
	memcpy(*tables, names, shared->nnames * sizeof(TableName));
	LWLockRelease(&shared->lock);
	*count = n;
	return copy;
}

/* A row for each table of a statement, one without table for one that has none. */
Datum
dbutil_statement_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	NotedStatement *noted;
	TableName  *tables;
	int			count;

	dbu_require_preload("dbutil.statement_tables");
	InitMaterializedSRF(fcinfo, 0);
	noted = copy_statements(&tables, &count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!dbu_may_see(noted[i].key.username))
			continue;
		for (int u = 0; u < Max(noted[i].nuses, 1); u++)
		{
			Datum		values[5];
			bool		nulls[5] = {false, false, false, noted[i].nuses == 0, noted[i].nuses == 0};

			values[0] = ObjectIdGetDatum(noted[i].key.database);
			values[1] = ObjectIdGetDatum(noted[i].key.username);
			values[2] = Int64GetDatum((int64) noted[i].key.query_id);
			if (noted[i].nuses > 0)
			{
				TableName  *table = &tables[noted[i].uses[u].table];

				values[3] = CStringGetTextDatum(operation_word(noted[i].uses[u].operation));
				values[4] = dbu_watch_text(table->name, table->encoding);
			}
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

static int
room(DbuRoom *rooms)
{
	LWLockAcquire(&shared->lock, LW_SHARED);
	rooms[0] = (DbuRoom)
	{
		.part = "tables",
			.used = shared->nnames - 2,
			.size = max_tables - 2,
			.dropped = shared->tables_dropped,
			.stats_since = shared->stats_since,
			.fix = "raise dbutil.track_tables_max and restart the server",
	};
	rooms[1] = (DbuRoom)
	{
		.part = "tables of statements",
			.used = shared->nstatements,
			.size = (int64) nsets() * WAYS,
			.dropped = shared->statements_dropped,
			.stats_since = shared->stats_since,
			.fix = "raise dbutil.track_max and restart the server",
	};
	LWLockRelease(&shared->lock);
	return 2;
}

const DbuWatchPart dbu_tables_part = {
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.room = room,
};
