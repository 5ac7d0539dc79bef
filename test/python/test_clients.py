"""Real clients against the server half, directly and through pgbouncer in transaction mode.

Each sends a statement 20 times with literals and, prepared where the way allows
it, 20 times with a parameter, then two rows to a bulk function from native types.
Then the server must have attributed all to the client's application_name, and
served plans from its cache. The cache is on for the database, so that no client
does anything for it.
"""

import asyncio
import decimal
import glob
import os
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

import psycopg2
import sqlalchemy

import bouncer
import harness
import dbutil

try:
    import psycopg          # version 3
except ImportError:
    psycopg = None

LITERAL = "SELECT bid FROM ticks WHERE id = %d"
BULK = "SELECT inserted FROM dbutil.bulk_insert_columns('loaded', '{id,price,note}', '{}', %s, %s, %s)"
IDS, PRICES, NOTES = [1, 2], [decimal.Decimal("1.10"), None], ['a,"b\\', "\u20ac"]
HERE = os.path.dirname(os.path.abspath(__file__))
JAR = "/usr/share/java/postgresql.jar"


class Clients:
    """What is the same directly and through pgbouncer."""

    pooler = False

    @classmethod
    def setUpClass(cls):
        harness.server.sql("ALTER DATABASE dbutil_python SET dbutil.plan_cache = 'auto'")
        harness.server.sql("DROP TABLE IF EXISTS ticks; CREATE TABLE ticks (id int PRIMARY KEY, pair text, bid numeric); "
                           "INSERT INTO ticks SELECT g, 'EUR/USD', 1.08 + g / 1e6 FROM generate_series(1, 1000) g")
        harness.server.sql("VACUUM ANALYZE ticks")

    @classmethod
    def tearDownClass(cls):
        harness.server.sql("ALTER DATABASE dbutil_python RESET dbutil.plan_cache")

    def setUp(self):
        dbutil.settings._given.clear()
        harness.server.sql("SELECT dbutil.track_reset(); DROP TABLE IF EXISTS loaded; "
                           "CREATE TABLE loaded (id int, price numeric(6,2), note text)")
        self.hits_before = self.hits()
        self.dsn = self.target() + " application_name=" + self.name()

    def name(self):
        return ("pooled_" if self.pooler else "direct_") + self._testMethodName.removeprefix("test_")

    def uri(self):
        return "postgresql://?" + urllib.parse.urlencode(
            [tuple(word.split("=", 1)) for word in self.target().split()])

    def hits(self):
        return int(harness.server.sql("SELECT COALESCE(sum(all_sessions), 0) FROM dbutil.plan_cache_stats "
                                      "WHERE kind = 'hit'"))

    def calls(self, query):
        return harness.server.sql("SELECT COALESCE(sum(calls), 0) FROM dbutil.statements WHERE service = '%s' "
                                  "AND query LIKE '%s'" % (self.name(), query))

    def check(self, literals=20, parameters=20, bulk=True):
        self.assertEqual(self.calls("SELECT bid FROM ticks WHERE id = $1%"), str(literals))
        # of EXECUTE the text is PREPARE's
        self.assertEqual(self.calls("%SELECT pair FROM ticks WHERE id = $1%"), str(parameters))
        self.assertGreaterEqual(self.hits() - self.hits_before, 10)
        if bulk:
            self.assertEqual(harness.server.sql("SELECT * FROM loaded ORDER BY id"), '1|1.10|a,"b\\\n2||\u20ac')

    def program(self, *args, **more):
        done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, timeout=120, **more)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_psql(self):
        script = "".join((LITERAL % i) + ";\n" for i in range(1, 21))
        script += "BEGIN; PREPARE p AS SELECT pair FROM ticks WHERE id = $1;\n"
        script += "".join("EXECUTE p(%d);\n" % i for i in range(1, 21)) + "DEALLOCATE p; COMMIT;\n"
        script += BULK % ("'{1,2}'::int[]", "'{1.10,NULL}'::numeric[]", "ARRAY['a,\"b\\', '\u20ac']") + ";\n"
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.dsn], input=script, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.check()

    def test_pgbench(self):
        for mode in ("simple", "extended", "prepared"):
            if mode == "prepared" and self.pooler:
                continue        # it prepares in a session that is not its own
            with self.subTest(mode):
                self.setUp()
                path = harness.server.dir + "/script.sql"
                with open(path, "w", encoding="ascii") as script:
                    script.write("\\set id random(1, 1000)\nSELECT bid FROM ticks WHERE id = :id;\n"
                                 "SELECT pair FROM ticks WHERE id = :id;\n")
                self.program("pgbench", "-n", "-t", "20", "-M", mode, "-f", path, self.dsn)
                # prepared statements are planned once by themselves
                self.assertEqual(self.calls("SELECT bid FROM ticks WHERE id = $1"), "20")
                self.assertEqual(self.calls("SELECT pair FROM ticks WHERE id = $1"), "20")
                if mode != "prepared":
                    self.assertGreaterEqual(self.hits() - self.hits_before, 10)

    def test_psycopg2(self):
        connection = psycopg2.connect(self.dsn)
        with connection, connection.cursor() as cursor:
            for i in range(1, 21):
                cursor.execute(LITERAL % i)
                cursor.execute("SELECT pair FROM ticks WHERE id = %s", [i])
            cursor.execute(BULK, [IDS, PRICES, NOTES])
        connection.close()
        self.check()

    @unittest.skipIf(psycopg is None, "psycopg 3 is not installed (python3-psycopg)")
    def test_psycopg3(self):
        with psycopg.connect(self.dsn, prepare_threshold=None if self.pooler else 5) as connection:
            for i in range(1, 21):
                connection.execute(LITERAL % i)
                connection.execute("SELECT pair FROM ticks WHERE id = %s", [i])
            connection.execute(BULK.replace("%s, %s, %s", "%s::int[], %s::numeric[], %s::text[]"), [IDS, PRICES, NOTES])
        self.check()

    def test_asyncpg(self):
        import asyncpg

        async def main():
            connection = await asyncpg.connect(self.uri(), server_settings={"application_name": self.name()},
                                               statement_cache_size=0 if self.pooler else 100)
            async with connection.transaction():
                for i in range(1, 21):
                    await connection.execute(LITERAL % i)       # simple protocol
                    await connection.fetch("SELECT pair FROM ticks WHERE id = $1", i)
                await connection.fetch(BULK % ("$1::int[]", "$2::numeric[]", "$3::text[]"), IDS, PRICES, NOTES)
            await connection.close()
        asyncio.run(main())
        self.check()

    def service(self):
        dbutil.configure(dsn=self.target(), pooler=self.pooler)
        return self.name()

    ROWS = [{"id": i, "price": price, "note": note} for i, price, note in zip(IDS, PRICES, NOTES)]

    def test_sqlalchemy_psycopg2(self):
        self.addCleanup(dbutil.close_all_pools)
        with dbutil.get_sync_db_session(self.service()) as session:
            for i in range(1, 21):
                session.execute(LITERAL % i)
                dbutil.execute_prepared_statement(session, "SELECT pair FROM ticks WHERE id = :id", {"id": i},
                                                  self.name(), "pair")
            dbutil.bulk_insert(session, "loaded", self.ROWS, self.name())
        self.check()

    def test_sqlalchemy_plain(self):
        # as a service that does not know this package
        engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(self.dsn), future=True)
        with engine.begin() as connection:
            for i in range(1, 21):
                connection.execute(sqlalchemy.text(LITERAL % i))
                connection.execute(sqlalchemy.text("SELECT pair FROM ticks WHERE id = :id"), {"id": i})
            connection.execute(sqlalchemy.text(BULK % (":a", ":b", ":c")), {"a": IDS, "b": PRICES, "c": NOTES})
        engine.dispose()
        self.check()

    def test_sqlalchemy_asyncpg(self):
        async def main():
            async with dbutil.get_async_db_session(self.service()) as session:
                for i in range(1, 21):
                    await session.execute(LITERAL % i)
                    await dbutil.execute_prepared_statement(
                        session, "SELECT pair FROM ticks WHERE id = :id", {"id": i}, self.name(), "pair")
                await dbutil.bulk_insert(session, "loaded", self.ROWS, self.name())
            await dbutil.aclose_all_pools()
        asyncio.run(main())
        self.check()

    @unittest.skipUnless(shutil.which("javac") and os.path.exists(JAR), "no JDBC (default-jdk-headless, libpostgresql-jdbc-java)")
    def test_jdbc(self):
        folder = tempfile.mkdtemp(prefix="dbupj.")
        self.addCleanup(shutil.rmtree, folder)
        self.program("javac", "-d", folder, *glob.glob(os.path.join(HERE, "java", "*.java")))
        socket = "%s/.s.PGSQL.%d" % ((self.bouncer.dir, 6432) if self.pooler else (harness.server.dir, 5432))
        for threshold in (0,) if self.pooler else (0, 1):     # 1: prepared in the session from the first call on
            with self.subTest(prepareThreshold=threshold):
                self.setUp()
                out = self.program("java", "-cp", os.pathsep.join([folder, JAR]), "Client",
                                   "jdbc:postgresql:dbutil_python?user=postgres&sslmode=disable&gssEncMode=disable"
                                   "&socketFactory=UnixSocketFactory&socketFactoryArg=%s&ApplicationName=%s"
                                   "&prepareThreshold=%d" % (urllib.parse.quote(socket, ""), self.name(), threshold))
                self.assertEqual(out.strip(), "2")
                self.check()

    def test_named_statements(self):
        # prepared by name for all sessions: it holds where a session is another one each time
        harness.server.sql("SELECT dbutil.prepare_statement('pair_of', 'SELECT pair FROM ticks WHERE id = :id')")
        self.addCleanup(harness.server.sql, "SELECT dbutil.deallocate_statement('pair_of')")
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for i in range(1, 21):
                cursor.execute("SELECT * FROM dbutil.execute_prepared_statement('pair_of', %s) AS (pair text)", [i])
                self.assertEqual(cursor.fetchall(), [("EUR/USD",)])
        connection.close()
        self.assertEqual(harness.server.sql("SELECT calls FROM dbutil.prepared_statements WHERE name = 'pair_of'"), "20")


class Direct(Clients, unittest.TestCase):
    def target(self):
        return harness.server.dsn


@unittest.skipIf(bouncer.PROGRAM is None, "pgbouncer is not installed")
class ThroughPgbouncer(Clients, unittest.TestCase):
    pooler = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bouncer = bouncer.Bouncer()

    @classmethod
    def tearDownClass(cls):
        cls.bouncer.close()
        super().tearDownClass()

    def target(self):
        return self.bouncer.dsn
