/*
 * test_cache.c
 *		The statement cache without a server, against a model that does the same the
 *		slow way.
 */
#include "harness.h"

#include "internal.h"

#define TEXTS 60
#define LIMIT 4096

/* The model: what is cached, the latest used first. */
typedef struct
{
	int	   text[TEXTS];
	size_t bytes[TEXTS];
	int	   n;
	size_t total;
	int	   dead;
} model;

static char texts[TEXTS][200];

static void
model_remove(model *m, int at)
{
	m->total -= m->bytes[at];
	m->n--;
	memmove(&m->text[at], &m->text[at + 1], sizeof(int) * (size_t) (m->n - at));
	memmove(&m->bytes[at], &m->bytes[at + 1], sizeof(size_t) * (size_t) (m->n - at));
}

static void
model_first(model *m, int text, size_t bytes)
{
	memmove(&m->text[1], &m->text[0], sizeof(int) * (size_t) m->n);
	memmove(&m->bytes[1], &m->bytes[0], sizeof(size_t) * (size_t) m->n);
	m->text[0] = text;
	m->bytes[0] = bytes;
	m->total += bytes;
	m->n++;
}

static int
model_find(model *m, int text)
{
	for (int i = 0; i < m->n; i++)
		if (m->text[i] == text)
		{
			size_t bytes = m->bytes[i];

			model_remove(m, i);
			model_first(m, text, bytes);
			return 1;
		}
	return 0;
}

static void
compare(const dbpool__cache *cache, const model *m)
{
	const dbpool__statement *entry = cache->head;
	uint32_t				 dead = 0;

	assert_int_equal(cache->n, m->n);
	assert_int_equal(cache->bytes, m->total);
	assert_true(cache->bytes <= cache->limit);
	for (int i = 0; i < m->n; i++, entry = entry->next)
	{
		assert_non_null(entry);
		assert_string_equal(entry->sql, texts[m->text[i]]);
	}
	assert_null(entry);
	for (entry = cache->dead; entry != NULL; entry = entry->next)
		dead++;
	assert_int_equal(dead, cache->ndead);
	assert_int_equal(dead, m->dead);
}

static void
is_as_the_model(void **state)
{
	dbpool__cache *cache = dbpool__cache_new(LIMIT);
	model		   m = {.n = 0};
	uint64_t	   rng = 20261129;

	(void) state;
	assert_non_null(cache);
	/* of different length, and not different at the end only */
	for (int i = 0; i < TEXTS; i++)
		snprintf(texts[i], sizeof(texts[i]), "select %d /* %.*s */", i / 2, (i % 2) + i * 2,
				 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
				 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	for (int i = 0; i < 200000; i++)
	{
		/* some are used more often than others */
		uint64_t r = dbpool__random(&rng);
		int		 text = (int) ((r % TEXTS) * ((r >> 20) % TEXTS) / TEXTS);
		dbpool__statement_key key = dbpool__statement_key_of(texts[text], 0, NULL);
		dbpool__statement *entry;

		if ((r >> 40) % 1000 == 0)
		{
			m.dead += m.n;
			m.n = 0;
			m.total = 0;
			dbpool__cache_bury_all(cache);
		}
		else if ((r >> 40) % 1000 == 1)
		{
			m = (model) {.n = 0};
			dbpool__cache_forget(cache);
		}
		else if ((r >> 40) % 1000 == 2)
		{
			m.dead = 0;
			dbpool__cache_buried(cache);
		}
		entry = dbpool__cache_find(cache, &key);
		assert_int_equal(entry != NULL, model_find(&m, text));
		if (entry == NULL)
		{
			entry = dbpool__statement_new(cache, &key);
			assert_non_null(entry);
			while (m.total + entry->bytes > LIMIT)
			{
				model_remove(&m, m.n - 1);
				m.dead++;
			}
			model_first(&m, text, entry->bytes);
			dbpool__cache_add(cache, entry);
		}
		else
			assert_string_equal(entry->sql, texts[text]);
		compare(cache, &m);
	}
	assert_true(cache->evicted > 1000);
	dbpool__cache_free(cache);
	dbpool__cache_free(NULL);
}

static void
key_has_the_types(void **state)
{
	dbpool__cache		 *cache = dbpool__cache_new(LIMIT);
	const Oid			  one[] = {23, 25};
	const Oid			  other[] = {23, 20};
	dbpool__statement_key keys[] = {
		dbpool__statement_key_of("select $1, $2", 2, NULL),
		dbpool__statement_key_of("select $1, $2", 2, one),
		dbpool__statement_key_of("select $1, $2", 2, other),
		dbpool__statement_key_of("select $1, $2", 1, one),
	};

	(void) state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		assert_null(dbpool__cache_find(cache, &keys[i]));
		dbpool__cache_add(cache, dbpool__statement_new(cache, &keys[i]));
		assert_non_null(dbpool__cache_find(cache, &keys[i]));
	}
	assert_int_equal(cache->n, 4);
	dbpool__cache_free(cache);
}

/* Every bit of a text counts, whatever its length. */
static void
hash_sees_every_byte(void **state)
{
	char text[40];

	(void) state;
	for (size_t length = 1; length < sizeof(text); length++)
	{
		uint64_t plain;

		memset(text, 'a', sizeof(text));
		text[length] = '\0';
		plain = dbpool__statement_key_of(text, 0, NULL).hash;
		for (size_t at = 0; at < length; at++)
		{
			text[at] = 'b';
			assert_true(dbpool__statement_key_of(text, 0, NULL).hash != plain);
			text[at] = 'a';
		}
		text[length - 1] = '\0';
		assert_true(dbpool__statement_key_of(text, 0, NULL).hash != plain);
	}
}

static void
uses_are_counted(void **state)
{
	dbpool__cache		 *cache = dbpool__cache_new(LIMIT);
	dbpool__statement_key key = dbpool__statement_key_of("select 1", 0, NULL);
	dbpool__statement_key same_place = key;
	dbpool__statement_key elsewhere = key;

	(void) state;
	same_place.hash = key.hash + CACHE_COUNTS;
	elsewhere.hash = key.hash + 1;
	assert_int_equal(dbpool__cache_count(cache, &key), 1);
	assert_int_equal(dbpool__cache_count(cache, &elsewhere), 1);
	assert_int_equal(dbpool__cache_count(cache, &key), 2);
	assert_int_equal(dbpool__cache_count(cache, &same_place), 1);
	assert_int_equal(dbpool__cache_count(cache, &key), 1);
	/* what the server forgot is still known to be worth it */
	dbpool__cache_forget(cache);
	assert_int_equal(dbpool__cache_count(cache, &key), 2);
	dbpool__cache_free(cache);
}

static void
larger_than_all(void **state)
{
	dbpool__cache		 *cache = dbpool__cache_new(1024);
	char				  text[1025];
	dbpool__statement_key key;

	(void) state;
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	key = dbpool__statement_key_of(text, 0, NULL);
	assert_null(dbpool__statement_new(cache, &key));
	dbpool__cache_free(cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_as_the_model),
		cmocka_unit_test(key_has_the_types),
		cmocka_unit_test(hash_sees_every_byte),
		cmocka_unit_test(uses_are_counted),
		cmocka_unit_test(larger_than_all),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
