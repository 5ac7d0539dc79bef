/*
 * test_service.c
 *		Services by name, and settings from code, file and environment: which one wins,
 *		what is refused, what is shown.
 */
#include "harness.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"
#include "dbpool_service.h"

static dbpool_error err = DBPOOL_ERROR_INIT;
static char			folder[64];
static char			file[96]; /* the ini file, named by DBPOOL_CONFIG */

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int
set_up(void **state)
{
	(void) state;
	strcpy(folder, "/tmp/dbpool-service.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(file, sizeof(file), "%s/dbpool.ini", folder);
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const variables[] = {
		"DBPOOL_CONFIG", "DBPOOL_PAY_MAX", "DBPOOL_PAY_MIN", "DBPOOL_PAY_MAXX", "DBPOOL_PAY_B_MAX",
		"DBPOOL_PAY_NAME", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE",
		"PGSERVICEFILE", "PGPASSFILE", "PGCONNECT_TIMEOUT",
	};
	char command[128];

	(void) state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	/* what a test that failed has left */
	(void) dbpool_undefine("pay", dbpool_deadline_ms(5000), NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* A configuration from pairs, ended by NULL. */
static dbpool_config *
config_of(const char *option, ...)
{
	dbpool_config *config = dbpool_config_new();
	va_list		   ap;

	assert_non_null(config);
	va_start(ap, option);
	for (const char *o = option; o != NULL; o = va_arg(ap, const char *))
		assert_ok(dbpool_config_set(config, o, va_arg(ap, const char *), &err));
	va_end(ap);
	return config;
}

static int
define(const char *name, dbpool_config *config)
{
	int code = dbpool_define(name, config, &err);

	dbpool_config_free(config);
	return code;
}

#define assert_says(text) \
	do \
	{ \
		if (strstr(err.message, (text)) == NULL) \
			fail_msg("\"%s\" is not in: %s", (text), err.message); \
	} \
	while (0)

static void
assert_shown_at(const char *text, const char *line, bool there, int at)
{
	const char *found = strstr(text, line);
	bool		whole = found != NULL && (found == text || found[-1] == '\n') &&
		found[strlen(line)] == '\n';

	if (whole != there)
	{
		print_error("line %d: \"%s\" is %sin:\n%s", at, line, there ? "not " : "", text);
		fail();
	}
}

#define assert_shown(text, line) assert_shown_at((text), (line), true, __LINE__)

static char *
settings_of(const char *service)
{
	dbpool_pool *pool;
	char		*text = NULL;

	assert_ok(dbpool_get(service, &pool, &err));
	assert_ok(dbpool_settings_text(pool, &text, &err));
	return text;
}

static void
undefine(const char *service)
{
	assert_ok(dbpool_undefine(service, dbpool_deadline_ms(5000), &err));
}

/* ---- names ---- */

static void
get_gives_the_one_pool(void **state)
{
	dbpool_pool *one;
	dbpool_pool *two;
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	char		 text[64];

	(void) state;
	assert_int_equal(dbpool_get("pay", &one, &err), DBPOOL_EINVAL);
	assert_null(one);
	assert_says("nor is any");
	assert_ok(define("pay", config_of("conninfo", dsn(), NULL)));
	assert_ok(dbpool_get("pay", &one, &err));
	assert_ok(dbpool_get("pay", &two, &err));
	assert_ptr_equal(one, two);
	assert_ok(dbpool_acquire(one, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	lease_text(lease, "show application_name", text, sizeof(text));
	assert_string_equal(text, "pay");
	dbpool_release(&lease);

	assert_int_equal(dbpool_get("pya", &two, &err), DBPOOL_EINVAL);
	assert_null(two);
	assert_says("service \"pya\" is not defined: the nearest is \"pay\"");
	assert_int_equal(dbpool_close(one, 0, &err), DBPOOL_EINVAL);
	assert_says("dbpool_undefine");
	assert_ok(dbpool_acquire(one, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	dbpool_release(&lease);

	undefine("pay");
	assert_int_equal(dbpool_acquire(one, DBPOOL_DEADLINE_NOW, &lease, &err), DBPOOL_ECLOSED);
	assert_int_equal(dbpool_get("pay", &one, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_undefine("pay", 0, &err), DBPOOL_EINVAL);
}

static void
a_second_definition_must_be_the_same(void **state)
{
	char other[256];

	(void) state;
	snprintf(other, sizeof(other), "%s password=sesame", dsn());
	assert_ok(define("pay", config_of("conninfo", dsn(), "max", "5", "reset", "always", NULL)));
	assert_ok(define("pay", config_of("max", "5", "conninfo", dsn(), "reset", "always", NULL)));
	assert_int_equal(define("pay", config_of("conninfo", dsn(), "max", "7", "reset", "always", NULL)),
					 DBPOOL_EINVAL);
	assert_says("\"pay\" is defined already, with \"max\" 5 instead of 7");
	assert_int_equal(define("pay", config_of("conninfo", dsn(), "max", "5", NULL)), DBPOOL_EINVAL);
	assert_says("\"reset\" always instead of dirty");
	assert_int_equal(define("pay", config_of("conninfo", other, "max", "5", "reset", "always", NULL)),
					 DBPOOL_EINVAL);
	assert_says("another \"conninfo\"");
	assert_null(strstr(err.message, "sesame"));
	/* the environment makes both the same */
	undefine("pay");
	setenv("DBPOOL_PAY_MAX", "3", 1);
	assert_ok(define("pay", config_of("max", "5", NULL)));
	assert_ok(define("pay", config_of("max", "7", NULL)));
	undefine("pay");
}

static void
names_are_checked(void **state)
{
	char		 name[65];
	dbpool_pool *pool;

	(void) state;
	memset(name, 'x', sizeof(name));
	name[64] = '\0';
	assert_int_equal(define("", NULL), DBPOOL_EINVAL);
	assert_int_equal(define("a b", NULL), DBPOOL_EINVAL);
	assert_says("invalid service name \"a b\"");
	assert_int_equal(define("gel\303\244", NULL), DBPOOL_EINVAL);
	assert_int_equal(define(name, NULL), DBPOOL_EINVAL);
	assert_int_equal(define(NULL, NULL), DBPOOL_EINVAL);
	assert_int_equal(dbpool_get(NULL, &pool, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_get("x", NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_undefine(NULL, 0, &err), DBPOOL_EINVAL);
	name[63] = '\0';
	assert_ok(define(name, NULL));
	undefine(name);
	assert_ok(define("card.eu-1", NULL));
	assert_int_equal(define("CARD_EU_1", NULL), DBPOOL_EINVAL);
	assert_says("\"CARD_EU_1\" and \"card.eu-1\" would share the variables DBPOOL_CARD_EU_1_*");
	undefine("card.eu-1");
}

/* No variable can be meant for two services: an option is never another's tail. */
static void
options_cannot_be_mixed_up(void **state)
{
	(void) state;
	for (int i = 0; i < DBPOOL__NOPTIONS; i++)
		for (const char *p = strchr(dbpool__option_name(i), '_'); p != NULL; p = strchr(p + 1, '_'))
			if (dbpool__option_index(p + 1) >= 0)
				fail_msg("\"%s\" ends in an option", dbpool__option_name(i));
}

#define GETTERS 8

static dbpool_pool		*gotten[GETTERS];
static pthread_barrier_t start_line;

static void *
getter(void *arg)
{
	dbpool_pool **mine = arg;

	pthread_barrier_wait(&start_line);
	if (dbpool_get("pay", mine, NULL) != DBPOOL_OK)
		*mine = NULL;
	return NULL;
}

static void
threads_get_one_pool(void **state)
{
	pthread_t threads[GETTERS];

	(void) state;
	assert_ok(define("pay", config_of("conninfo", dsn(), NULL)));
	pthread_barrier_init(&start_line, NULL, GETTERS);
	for (int i = 0; i < GETTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, getter, &gotten[i]), 0);
	for (int i = 0; i < GETTERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start_line);
	assert_non_null(gotten[0]);
	for (int i = 1; i < GETTERS; i++)
		assert_ptr_equal(gotten[i], gotten[0]);
	undefine("pay");
}

#ifndef __SANITIZE_THREAD__ /* it does not allow threads after a fork */
static int
child_uses_the_service(dbpool_pool *parents)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_pool *pool;
	PGresult	*res = NULL;
	int			 code;

	if (dbpool_get("pay", &pool, NULL) != DBPOOL_OK || pool == parents)
		return 1;
	if (dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, NULL) != DBPOOL_OK)
		return 2;
	code = dbpool_exec(lease, dbpool_deadline_ms(5000), "select 1", NULL, &res, NULL);
	PQclear(res);
	dbpool_release(&lease);
	if (code != DBPOOL_OK)
		return 3;
	return dbpool_undefine("pay", dbpool_deadline_ms(5000), NULL) == DBPOOL_OK ? 0 : 4;
}

static void
a_child_gets_a_pool_of_its_own(void **state)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_pool *pool;
	int			 status = 0;
	pid_t		 child;

	(void) state;
	assert_ok(define("pay", config_of("conninfo", dsn(), NULL)));
	assert_ok(dbpool_get("pay", &pool, &err));
	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	child = fork();
	if (child == 0)
		_exit(child_uses_the_service(pool));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(lease_int(lease, "select 41 + 1"), 42);
	dbpool_release(&lease);
	undefine("pay");
}
#endif

/* ---- settings ---- */

static void
environment_wins_over_file_over_code(void **state)
{
	char  expected[160];
	char *text;

	(void) state;
	put(file, "# all of it\n"
			  "[other]\n"
			  "max = 99\n"
			  "this is not looked at = 1\n"
			  "\n"
			  "[ pay ]\n"
			  "  max=12  \n"
			  "; a comment\n"
			  "min = 2\r\n"
			  "idle_timeout_ms = 1234\n");
	setenv("DBPOOL_CONFIG", file, 1);
	setenv("DBPOOL_PAY_MAX", "7", 1);
	setenv("DBPOOL_PAY_B_MAX", "1", 1); /* pay_b's */
	assert_ok(define("pay", config_of("conninfo", dsn(), "max", "5", "min", "1", "lifetime_ms",
									  "60000", NULL)));
	text = settings_of("pay");
	assert_shown(text, "max = 7  # environment DBPOOL_PAY_MAX");
	snprintf(expected, sizeof(expected), "min = 2  # file %s, line 9", file);
	assert_shown(text, expected);
	assert_shown(text, "lifetime_ms = 60000  # code");
	assert_shown(text, "reset = dirty  # default");
	assert_shown(text, "name = pay  # service");
	assert_shown(text, "fallback_application_name = pay  # name");
	assert_shown(text, "dbname = postgres  # conninfo: code");
	assert_shown(text, "keepalives_idle = 30  # libdbpool");
	assert_shown(text, "connect_timeout_ms = 5000  # default");
	free(text);
	undefine("pay");
}

static void
bad_files_are_refused(void **state)
{
	static const struct
	{
		const char *text;
		const char *message;
	} bad[] = {
		{"[pay]\nmaxx = 1\n", "line 2: unknown option \"maxx\": the nearest is \"max\""},
		{"[pay]\nmax = many\n", "line 2: invalid value for option \"max\": \"many\""},
		{"[pay]\nmax = 1\nmax = 2\n", "line 3: option \"max\" comes twice"},
		{"[pay]\n[x]\n[pay]\n", "line 3: section [pay] comes twice"},
		{"max = 1\n[pay]\n", "line 1: an option before the first [section]"},
		{"[pay]\nmax\n", "line 2: a line must be option = value"},
		{"[pay]\n= 4\n", "line 2: a line must be option = value"},
		{"[pay\nmax = 1\n", "line 1: \"[pay\" is not [section]"},
		{"[pay] max = 1\n", "line 1: \"[pay] max = 1\" is not [section]"},
		{"[pay]\nname =\n", "line 2: option \"name\" must not be empty"},
		{"[pay]\nmin = 9\nmax = 3\n", "\"min\" (9) is greater than \"max\" (3)"},
		{"[pay]\nconninfo = hots=x\n", "line 2: invalid conninfo: "},
	};
	dbpool_config *config = config_of("max", "4", NULL);

	(void) state;
	setenv("DBPOOL_CONFIG", file, 1);
	assert_int_equal(define("pay", NULL), DBPOOL_ESYSTEM);
	assert_says("cannot open");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		put(file, bad[i].text);
		assert_int_equal(define("pay", NULL), DBPOOL_EINVAL);
		assert_says(bad[i].message);
	}
	/* nothing of a bad section is taken */
	put(file, "[pay]\nmin = 3\nmaxx = 1\n");
	assert_int_equal(dbpool_config_read(config, file, "pay", &err), DBPOOL_EINVAL);
	assert_int_equal(config->min, 1);
	assert_int_equal(config->max, 4);
	assert_ok(dbpool_config_read(config, file, "other", &err));
	assert_int_equal(dbpool_config_read(config, folder, "other", &err), DBPOOL_ESYSTEM);
	assert_int_equal(dbpool_config_read(NULL, file, "pay", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_read(config, NULL, "pay", &err), DBPOOL_EINVAL);
	dbpool_config_free(config);
}

static void
bad_variables_are_refused(void **state)
{
	dbpool_config *config = config_of("max", "4", NULL);

	(void) state;
	setenv("DBPOOL_PAY_MAXX", "3", 1);
	assert_int_equal(define("pay", NULL), DBPOOL_EINVAL);
	assert_says("environment DBPOOL_PAY_MAXX: unknown option \"maxx\": the nearest is \"max\"");
	unsetenv("DBPOOL_PAY_MAXX");
	setenv("DBPOOL_PAY_MIN", "3", 1);
	setenv("DBPOOL_PAY_MAX", "0", 1);
	assert_int_equal(dbpool_config_env(config, "pay", &err), DBPOOL_EINVAL);
	assert_says("environment DBPOOL_PAY_MAX: invalid value for option \"max\": \"0\"");
	assert_int_equal(config->min, 1);
	setenv("DBPOOL_PAY_MAX", "2", 1);
	assert_int_equal(define("pay", NULL), DBPOOL_EINVAL);
	assert_says("\"min\" (3) is greater than \"max\" (2)");
	assert_ok(dbpool_config_env(config, "pay", &err));
	assert_int_equal(config->min, 3);
	assert_int_equal(config->max, 2);
	assert_int_equal(dbpool_config_env(config, "p/y", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_env(NULL, "pay", &err), DBPOOL_EINVAL);
	dbpool_config_free(config);
}

/* ---- what is libpq's ---- */

static void
assert_connects(const char *service, const char *user)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_pool *pool;
	char		 text[64];

	assert_ok(dbpool_get(service, &pool, &err));
	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	lease_text(lease, "select current_user", text, sizeof(text));
	assert_string_equal(text, user);
	dbpool_release(&lease);
}

static void
libpq_variables_count(void **state)
{
	char *text;
	char  expected[128];

	(void) state;
	setenv("PGHOST", getenv("DBPOOL_TEST_DIR"), 1);
	setenv("PGPORT", "5432", 1);
	setenv("PGUSER", "postgres", 1);
	setenv("PGDATABASE", "template1", 1);
	setenv("PGCONNECT_TIMEOUT", "7", 1);
	assert_ok(define("pay", NULL));
	assert_connects("pay", "postgres");
	text = settings_of("pay");
	snprintf(expected, sizeof(expected), "host = %s  # PGHOST", getenv("DBPOOL_TEST_DIR"));
	assert_shown(text, expected);
	assert_shown(text, "dbname = template1  # PGDATABASE");
	assert_shown(text, "connect_timeout_ms = 7000  # connect_timeout");
	assert_shown(text, "connect_timeout = 7  # PGCONNECT_TIMEOUT");
	free(text);
	undefine("pay");
}

static void
service_file_and_password_file_count(void **state)
{
	char  path[128];
	char  content[512];
	char *text;

	(void) state;
	admin_int("drop role if exists pwuser");
	admin_int("create role pwuser login password 'open sesame'");
	snprintf(path, sizeof(path), "%s/services", folder);
	snprintf(content, sizeof(content), "[ledger]\nhost=%s\nport=5432\nuser=pwuser\ndbname=postgres\n",
			 getenv("DBPOOL_TEST_DIR"));
	put(path, content);
	setenv("PGSERVICEFILE", path, 1);
	snprintf(path, sizeof(path), "%s/passwords", folder);
	put(path, "*:*:*:pwuser:open sesame\n");
	assert_int_equal(chmod(path, 0600), 0);
	setenv("PGPASSFILE", path, 1);
	assert_ok(define("pay", config_of("conninfo", "service=ledger", NULL)));
	assert_connects("pay", "pwuser");
	text = settings_of("pay");
	assert_shown(text, "service = ledger  # conninfo: code");
	assert_shown(text, "user = pwuser  # service file");
	assert_null(strstr(text, "sesame"));
	free(text);
	undefine("pay");

	assert_int_equal(define("pay", config_of("conninfo", "service=lodger", NULL)), DBPOOL_EINVAL);
	assert_says("\"lodger\" not found");
	assert_int_equal(define("pay", config_of("conninfo", "sslmode=perhaps", NULL)), DBPOOL_EINVAL);
	assert_says("\"perhaps\"");
	admin_int("drop role pwuser");
}

static void
passwords_are_not_shown(void **state)
{
	char  uri[256];
	char *text;

	(void) state;
	snprintf(uri, sizeof(uri), "postgresql://postgres:sesame@/postgres?host=%s&sslpassword=simsala",
			 getenv("DBPOOL_TEST_DIR"));
	assert_ok(define("pay", config_of("conninfo", uri, NULL)));
	text = settings_of("pay");
	assert_null(strstr(text, "sesame"));
	assert_null(strstr(text, "simsala"));
	assert_shown(text, "password = (not shown)  # conninfo: code");
	free(text);
	undefine("pay");
	setenv("PGPASSWORD", "sesame", 1);
	assert_ok(define("pay", config_of("conninfo", dsn(), NULL)));
	text = settings_of("pay");
	assert_null(strstr(text, "sesame"));
	assert_shown(text, "password = (not shown)  # PGPASSWORD");
	free(text);
	undefine("pay");
}

static void
settings_of_nothing(void **state)
{
	dbpool_pool *pool = open_pool(NULL);
	char		*text = (char *) 1;

	(void) state;
	assert_int_equal(dbpool_settings_text(pool, NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_settings_text(NULL, &text, &err), DBPOOL_EINVAL);
	assert_null(text);
	close_pool(pool);
	assert_int_equal(dbpool_settings_text(pool, &text, &err), DBPOOL_ECLOSED);
	assert_null(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get_gives_the_one_pool),
		TEST(a_second_definition_must_be_the_same),
		TEST(names_are_checked),
		TEST(options_cannot_be_mixed_up),
		TEST(threads_get_one_pool),
#ifndef __SANITIZE_THREAD__
		TEST(a_child_gets_a_pool_of_its_own),
#endif
		TEST(environment_wins_over_file_over_code),
		TEST(bad_files_are_refused),
		TEST(bad_variables_are_refused),
		TEST(libpq_variables_count),
		TEST(service_file_and_password_file_count),
		TEST(passwords_are_not_shown),
		TEST(settings_of_nothing),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
