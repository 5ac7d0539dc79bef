/*-------------------------------------------------------------------------
 *
 * definitions.c
 *	  The table dbutil.prepared_definitions.
 *
 * It is read and written as a catalog is: by scans of its own, not by SQL.  So
 * no privilege on it has to be granted to anybody, no identity is switched,
 * and nothing in a caller's search_path can get in between.  A scan takes the
 * newest snapshot, in every isolation level, as a look-up in a catalog does:
 * a definition counts from the moment that its transaction commits, and one's
 * own at once.
 *
 * Writers of the same name wait for each other on a lock of that name until
 * the first one's transaction ends.  What they write is announced as a change
 * of the table's relcache entry, which reaches the other backends at commit,
 * this one at the end of the command and, if it is rolled back, once more
 * then.  Who keeps something that he read compares dbu_prepared_generation().
 * For SQL that writes the table, such as the restore of a dump, a trigger does
 * the announcing.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbutil_prepared_definitions_changed);

/* Columns of the table, in order. */
enum
{
	COLUMN_SERVICE = 1,
	COLUMN_NAME,
	COLUMN_OWNER,
	COLUMN_ID,
	COLUMN_STATEMENT,
	COLUMN_PARAMETER_NAMES,
	COLUMN_PARAMETER_TYPES,
	COLUMN_PREPARED_AT,
	NCOLUMNS = COLUMN_PREPARED_AT
};

/* What is called at any invalidation: it only sets these two. */
static Oid	table_oid = InvalidOid; /* InvalidOid: to be looked up */
static uint64 generation = 1;

static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || table_oid == InvalidOid || relid == table_oid)
	{
		table_oid = InvalidOid;
		generation++;
	}
}

/* Before either of them is relied upon. */
static void
watch_changes(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	registered = true;
}

/*
 * A number that is another one when definitions may have changed.  0 is never
 * one.
 */
uint64
dbu_prepared_generation(void)
{
	watch_changes();
	/* a long transaction would not hear of changes otherwise */
	AcceptInvalidationMessages();
	return generation;
}

/* False if there can be no such statement: a part is too long. */
bool
dbu_prepared_set_key(DbuPreparedKey *key, const char *service, const char *name)
{
	memset(key, 0, sizeof(*key));
	return strlcpy(key->service, service, NAMEDATALEN) < NAMEDATALEN &&
		strlcpy(key->name, name, NAMEDATALEN) < NAMEDATALEN;
}

/* False once the extension is dropped, which a transaction may outlive. */
bool
dbu_prepared_table_exists(void)
{
	watch_changes();
	if (!OidIsValid(table_oid))
	{
		Oid			schema = get_namespace_oid("dbutil", true);

		if (OidIsValid(schema))
			table_oid = get_relname_relid("prepared_definitions", schema);
	}
	return OidIsValid(table_oid);
}

static Relation
open_table(LOCKMODE lockmode)
{
	Relation	rel;

	if (!dbu_prepared_table_exists())
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"dbutil.prepared_definitions\" does not exist"),
				 errhint("Run ALTER EXTENSION dbutil UPDATE.")));
	rel = table_open(table_oid, lockmode);
	if (RelationGetDescr(rel)->natts != NCOLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dbutil.prepared_definitions has %d columns where the library expects %d",
						RelationGetDescr(rel)->natts, NCOLUMNS),
				 errhint("Run ALTER EXTENSION dbutil UPDATE.")));
	return rel;
}

/* ---------- reading ---------- */

static void
copy_name(char *to, Datum value)
{
	strlcpy(to, TextDatumGetCString(value), NAMEDATALEN);
}

/* Everything is copied into the current memory context. */
static void
read_tuple(Relation rel, HeapTuple tuple, DbuDefinition *definition)
{
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS];
	Datum	   *elements;
	bool	   *element_nulls;
	int			nelements;

	heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
	memset(definition, 0, sizeof(*definition));
	copy_name(definition->key.service, values[COLUMN_SERVICE - 1]);
	copy_name(definition->key.name, values[COLUMN_NAME - 1]);
	copy_name(definition->owner, values[COLUMN_OWNER - 1]);
	definition->id = DatumGetInt64(values[COLUMN_ID - 1]);
	definition->statement = TextDatumGetCString(values[COLUMN_STATEMENT - 1]);
	definition->prepared_at = DatumGetTimestampTz(values[COLUMN_PREPARED_AT - 1]);
	definition->tid = tuple->t_self;

	if (!nulls[COLUMN_PARAMETER_NAMES - 1])
	{
		deconstruct_array(DatumGetArrayTypeP(values[COLUMN_PARAMETER_NAMES - 1]),
						  TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, &element_nulls, &nelements);
		for (int i = 0; i < nelements; i++)
			definition->names = lappend(definition->names,
										element_nulls[i] ? pstrdup("") :
										TextDatumGetCString(elements[i]));
	}
	deconstruct_array(DatumGetArrayTypeP(values[COLUMN_PARAMETER_TYPES - 1]),
					  REGTYPEOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, &element_nulls, &nelements);
	definition->ntypes = nelements;
	definition->types = palloc0(Max(nelements, 1) * sizeof(Oid));
	for (int i = 0; i < nelements; i++)
		definition->types[i] = element_nulls[i] ? InvalidOid : DatumGetObjectId(elements[i]);
}

/* False: there is none. */
bool
dbu_prepared_read(const DbuPreparedKey *key, DbuDefinition *definition)
{
	Relation	rel = open_table(AccessShareLock);
	Oid			index = get_relname_relid("prepared_definitions_pkey",
										  RelationGetNamespace(rel));
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	/* the columns have the collation "C", as these keys */
	ScanKeyInit(&keys[0], COLUMN_SERVICE, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->service));
	ScanKeyInit(&keys[1], COLUMN_NAME, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(key->name));
	scan = systable_beginscan(rel, index, OidIsValid(index), snapshot, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		read_tuple(rel, tuple, definition);
		found = true;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return found;
}

/* DbuDefinition *, in no order. */
List *
dbu_prepared_read_all(void)
{
	Relation	rel = open_table(AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple;
	List	   *definitions = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		DbuDefinition *definition = palloc(sizeof(DbuDefinition));

		read_tuple(rel, tuple, definition);
		definitions = lappend(definitions, definition);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return definitions;
}

/* ---------- writing ---------- */

/* Names of the parameters as text[]; empty where they are positional. */
Datum
dbu_prepared_names_datum(const DbuDefinition *definition)
{
	Datum	   *elements = palloc(Max(list_length(definition->names), 1) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, definition->names)
		elements[foreach_current_index(lc)] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(elements, list_length(definition->names),
										   TEXTOID, -1, false, TYPALIGN_INT));
}

/* Their types as regtype[]. */
Datum
dbu_prepared_types_datum(const DbuDefinition *definition)
{
	Datum	   *elements = palloc(Max(definition->ntypes, 1) * sizeof(Datum));

	for (int i = 0; i < definition->ntypes; i++)
		elements[i] = ObjectIdGetDatum(definition->types[i]);
	return PointerGetDatum(construct_array(elements, definition->ntypes, REGTYPEOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

/*
 * Keep other writers of this name away until the transaction ends.  What is
 * read after that is what they left.
 */
void
dbu_prepared_lock(const DbuPreparedKey *key)
{
	Relation	rel = open_table(RowExclusiveLock);

	LockDatabaseObject(RelationGetRelid(rel),
					   hash_bytes((const unsigned char *) key, sizeof(*key)),
					   0, ExclusiveLock);
	table_close(rel, NoLock);
}

static void
announce(Relation rel)
{
	CacheInvalidateRelcache(rel);
	CommandCounterIncrement();
}

/* Insert it, or put it in the place where it was read. */
void
dbu_prepared_write(DbuDefinition *definition, bool update)
{
	Relation	rel = open_table(RowExclusiveLock);
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS] = {0};
	HeapTuple	tuple;

	values[COLUMN_SERVICE - 1] = CStringGetTextDatum(definition->key.service);
	values[COLUMN_NAME - 1] = CStringGetTextDatum(definition->key.name);
	values[COLUMN_OWNER - 1] = CStringGetTextDatum(definition->owner);
	values[COLUMN_ID - 1] = Int64GetDatum(definition->id);
	values[COLUMN_STATEMENT - 1] = CStringGetTextDatum(definition->statement);
	values[COLUMN_PREPARED_AT - 1] = TimestampTzGetDatum(definition->prepared_at);
	nulls[COLUMN_PARAMETER_NAMES - 1] = definition->names == NIL;
	values[COLUMN_PARAMETER_NAMES - 1] = dbu_prepared_names_datum(definition);
	values[COLUMN_PARAMETER_TYPES - 1] = dbu_prepared_types_datum(definition);

	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	if (update)
		CatalogTupleUpdate(rel, &definition->tid, tuple);
	else
		CatalogTupleInsert(rel, tuple);
	announce(rel);
	table_close(rel, NoLock);
}

void
dbu_prepared_delete(const DbuDefinition *definition)
{
	Relation	rel = open_table(RowExclusiveLock);
	ItemPointerData tid = definition->tid;

	CatalogTupleDelete(rel, &tid);
	announce(rel);
	table_close(rel, NoLock);
}

/* The trigger for SQL that writes the table. */
Datum
dbutil_prepared_definitions_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"prepared_definitions_changed"),
				 errhint("It belongs to the table dbutil.prepared_definitions.")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
