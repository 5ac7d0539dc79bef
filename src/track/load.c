/*-------------------------------------------------------------------------
 *
 * load.c
 *	  Reads the statistics that save.c wrote, when the server starts.
 *
 * The file is checked as a whole before any of it is used.  One that is not
 * right is set aside, with a WARNING, and the server starts with nothing
 * counted.  Runs in the postmaster, where an error would end the start: none
 * is raised here.  What has no room any more, as settings are others, counts
 * as dropped: the statements and transactions of a service that is <other> now
 * are not mixed with those of another one.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/saved.h"

#include <sys/stat.h>

#include "mb/pg_wchar.h"
#include "storage/fd.h"
#include "utils/memutils.h"

/* Longest text that a file may hold, whatever the setting is now. */
#define MAX_LOADED_TEXT (2 * 1024 * 1024)

typedef struct Reader
{
	FILE	   *file;
	int64		left;			/* bytes before the CRC */
	int32	   *service;		/* what the file's services are here, -1: there
								 * was no room */
	int32		nservices;
	StringInfoData text;
} Reader;

/* Everything after this is only done if it is true, so it must not lie. */
static bool
take(Reader *reader, void *data, int64 size)
{
	if (size < 0 || size > reader->left || fread(data, 1, size, reader->file) != (size_t) size)
		return false;
	reader->left -= size;
	return true;
}

/* Is the file what its CRC says?  Leaves it at its beginning. */
static bool
check_crc(Reader *reader)
{
	char		buffer[8192];
	struct stat st;
	pg_crc32c	crc;
	pg_crc32c	stored;

	if (fstat(fileno(reader->file), &st) != 0 || st.st_size < (off_t) sizeof(crc))
		return false;
	reader->left = st.st_size - sizeof(crc);
	INIT_CRC32C(crc);
	while (reader->left > 0)
	{
		int64		size = Min((int64) sizeof(buffer), reader->left);

		if (!take(reader, buffer, size))
			return false;
		COMP_CRC32C(crc, buffer, size);
	}
	FIN_CRC32C(crc);
	if (fread(&stored, sizeof(stored), 1, reader->file) != 1 || !EQ_CRC32C(crc, stored))
		return false;
	rewind(reader->file);
	reader->left = st.st_size - sizeof(crc);
	return true;
}

static bool
check_header(const SavedHeader *header)
{
	return header->magic == SAVED_MAGIC && header->format == SAVED_FORMAT &&
		header->pg_version == DBU_PG_MAJOR &&
		header->statement_size == sizeof(StatementEntry) &&
		header->transaction_size == sizeof(TransactionEntry) &&
		header->error_size == sizeof(StatementError) &&
		header->nservices > 0 && header->nservices <= 1000000;
}

static bool
load_services(Reader *reader, int32 count)
{
	char		name[NAMEDATALEN];

	reader->service = palloc(count * sizeof(int32));
	reader->nservices = count;
	for (int32 i = 0; i < count; i++)
	{
		if (!take(reader, name, NAMEDATALEN))
			return false;
		name[NAMEDATALEN - 1] = '\0';
		dbu_track_clean_name(name, name);
		reader->service[i] = dbu_track_find_service(name);
		/* the first one is <other> in each file */
		if (reader->service[i] == 0 && i > 0)
			reader->service[i] = -1;
	}
	return true;
}

/* False: there is no such service in the file. -1 where there is no room for it. */
static bool
map_service(const Reader *reader, int32 *service)
{
	if (*service < 0 || *service >= reader->nservices)
		return false;
	*service = reader->service[*service];
	return true;
}

static bool
load_statement(Reader *reader)
{
	StatementEntry saved;
	StatementEntry *entry;
	int64		size;

	if (!take(reader, &saved, sizeof(saved)) || !map_service(reader, &saved.key.service) ||
		saved.operation > CMD_NOTHING || saved.nrelations > STATEMENT_RELATIONS ||
		!PG_VALID_ENCODING(saved.encoding) ||
		saved.text_length < 0 || saved.tags_length < 0)
		return false;
	size = (int64) saved.text_length + saved.tags_length + 2;
	resetStringInfo(&reader->text);
	if (DsaPointerIsValid(saved.text))
	{
		if (size > MAX_LOADED_TEXT)
			return false;
		enlargeStringInfo(&reader->text, size);
		if (!take(reader, reader->text.data, size))
			return false;
		reader->text.data[saved.text_length] = '\0';
		reader->text.data[size - 1] = '\0';
	}
	if (saved.key.service < 0)
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->calls_dropped, saved.counters.calls);
		pg_atomic_fetch_add_u64(&dbu_track_shared->errors_dropped, saved.counters.errors);
		return true;
	}

	LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
	entry = dbu_track_add_statement(&saved.key);
	entry->usage = saved.usage;
	entry->wants = saved.wants;
	entry->operation = saved.operation;
	entry->nrelations = saved.nrelations;
	memcpy(entry->relations, saved.relations, sizeof(entry->relations));
	entry->first_seen = saved.first_seen;
	entry->stats_since = saved.stats_since;
	entry->minmax_since = saved.minmax_since;
	entry->counters = saved.counters;
	entry->histogram = saved.histogram;
	if (DsaPointerIsValid(saved.text))
		dbu_track_store_text(entry, reader->text.data,
							 saved.tags_length > 0 ? reader->text.data + saved.text_length + 1 : NULL,
							 saved.encoding);
	LWLockRelease(&dbu_track_shared->lock);
	return true;
}

static bool
load_transaction(Reader *reader)
{
	TransactionEntry saved;
	TransactionEntry *entry;

	if (!take(reader, &saved, sizeof(saved)) || !map_service(reader, &saved.shape.key.service) ||
		saved.shape.nids > DBU_XACT_IDS)
		return false;
	saved.shape.name[NAMEDATALEN - 1] = '\0';
	LWLockAcquire(&dbu_track_shared->transaction_lock, LW_EXCLUSIVE);
	entry = saved.shape.key.service >= 0 ? dbu_track_xact_entry(&saved.shape, true) : NULL;
	if (entry != NULL)
		entry->counters = saved.counters;
	else
	{
		for (int i = 0; i < DBU_XACT_OUTCOMES; i++)
			pg_atomic_fetch_add_u64(&dbu_track_shared->transactions_dropped,
									saved.counters.outcomes[i]);
	}
	LWLockRelease(&dbu_track_shared->transaction_lock);
	return true;
}

static bool
load_error(Reader *reader, int *used)
{
	StatementError saved;

	if (!take(reader, &saved, sizeof(saved)) || !map_service(reader, &saved.key.service) ||
		saved.sqlstate == 0)
		return false;
	if (saved.key.service >= 0 && *used < dbu_track_max_errors)
		dbu_track_errors[(*used)++] = saved;
	else
		pg_atomic_fetch_add_u64(&dbu_track_shared->error_codes_dropped,
								saved.errors + saved.caught);
	return true;
}

static bool
load_records(Reader *reader)
{
	int			errors = 0;
	bool		good = true;
	char		kind;

	while (good && take(reader, &kind, 1))
	{
		switch (kind)
		{
			case SAVED_STATEMENT:
				good = load_statement(reader);
				break;
			case SAVED_TRANSACTION:
				good = load_transaction(reader);
				break;
			case SAVED_ERROR:
				good = load_error(reader, &errors);
				break;
			case SAVED_END:
				return reader->left == 0;
			default:
				good = false;
		}
	}
	return false;
}

static bool
load(Reader *reader)
{
	SavedHeader header;

	if (!check_crc(reader) || !take(reader, &header, sizeof(header)) || !check_header(&header) ||
		!load_services(reader, header.nservices))
		return false;
	/* those before the records: a record without room adds to them */
	for (int i = 0; i < (int) lengthof(header.losses); i++)
		pg_atomic_write_u64(dbu_track_loss(i), header.losses[i]);
	dbu_track_shared->stats_since = header.stats_since;
	return load_records(reader);
}

void
dbu_track_load(const char *path)
{
	MemoryContext work;
	MemoryContext caller;
	Reader		reader = {0};
	char		aside[MAXPGPATH];
	bool		good;

	reader.file = AllocateFile(path, PG_BINARY_R);
	if (reader.file == NULL)
	{
		if (errno != ENOENT)
			ereport(WARNING,
					(errcode_for_file_access(),
					 errmsg("could not open file \"%s\": %m", path)));
		return;
	}
	work = AllocSetContextCreate(CurrentMemoryContext, "dbutil load", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	initStringInfo(&reader.text);
	good = load(&reader);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	FreeFile(reader.file);
	if (good)
		return;

	dbu_track_forget();
	snprintf(aside, sizeof(aside), "%s.bad", path);
	(void) durable_rename(path, aside, WARNING);
	ereport(WARNING,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("statistics in file \"%s\" cannot be used", path),
			 errdetail("The file is damaged, or was written by another version."),
			 errhint("It is kept as \"%s\"; tracking starts with nothing counted.", aside)));
}
