"""The pool, sessions, prepared statements and monitoring, on psycopg2."""

import os
import threading
import time
import unittest

import sqlalchemy

import harness
import dbutil
from dbutil import (execute_prepared_statement, get_connection_pool, get_sync_db_session, settings,
                    track_query_performance, track_transaction, with_prepared_statement)


class Case(unittest.TestCase):
    def setUp(self):
        settings._given.clear()
        dbutil.configure(dsn=harness.server.dsn)
        self.addCleanup(dbutil.close_all_pools)
        dbutil.reset_metrics()
        harness.make_users()

    def value(self, metric, **labels):
        """The value of the one series that has these labels, 0 if there is none."""
        found = [entry for entry in dbutil.metrics().get(metric, ())
                 if all(entry["labels"].get(name) == value for name, value in labels.items())]
        self.assertLess(len(found), 2)
        return found[0].get("value", found[0].get("count")) if found else 0


class Pool(Case):
    def test_the_server_attributes(self):
        with get_sync_db_session("my service") as session:
            self.assertEqual(session.scalar("SHOW dbutil.service"), "my service")
            self.assertEqual(session.scalar("SHOW application_name"), "my service")
            self.assertEqual(session.scalar("SHOW statement_timeout"), "5min")
            session.execute("SELECT 'attributed'")
        self.assertEqual(harness.server.sql("SELECT calls FROM dbutil.statements WHERE service = 'my service' "
                                            "AND query = 'SELECT $1' AND toplevel"), "1")

    def test_behind_a_pooler_only_the_name(self):
        dbutil.configure(pooler=True)
        with get_sync_db_session("pooled") as session:
            self.assertEqual(session.scalar("SHOW dbutil.service"), "")
            self.assertEqual(session.scalar("SHOW application_name"), "pooled")

    def test_strings_are_sql(self):
        with get_sync_db_session("s") as session:
            row = session.execute("SELECT '12:30', 'a\\:b', '5%', :a::int, 1 % :b", {"a": 7, "b": 2}).fetchone()
            self.assertEqual(tuple(row), ("12:30", "a\\:b", "5%", 7, 1))
            self.assertEqual(session.scalars("SELECT :a", {"a": 1}).all(), [1])

    def test_never_more_than_max_and_a_timeout(self):
        dbutil.configure(max_connections=2, acquire_timeout=0.2)
        pool = get_connection_pool("small")
        with pool.connection(), pool.connection():
            self.assertEqual(pool.stats(), {"max": 2, "total": 2, "idle": 0, "leased": 2, "waiting": 0})
            with self.assertRaises(sqlalchemy.exc.TimeoutError):
                with get_sync_db_session("small") as session:
                    session.execute("SELECT 1")
        self.assertEqual(self.value("db_client_connection_timeouts", pool_name="small"), 1)
        self.assertEqual(self.value("db_client_connection_create_time", pool_name="small"), 2)
        self.assertEqual(self.value("db_client_connection_count", pool_name="small", state="idle"), 2)

    def test_many_threads_share_few(self):
        dbutil.configure(max_connections=3)
        seen, failed = set(), []

        def work():
            try:
                for _ in range(20):
                    with get_sync_db_session("threads") as session:
                        seen.add(session.scalar("SELECT pg_backend_pid()"))
            except Exception as error:
                failed.append(error)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertLessEqual(len(seen), 3)

    def test_a_dead_connection_is_not_lent(self):
        dbutil.configure(validate_after_idle=0)
        with get_sync_db_session("dead") as session:
            pid = session.scalar("SELECT pg_backend_pid()")
        harness.server.sql("SELECT pg_terminate_backend(%d, 10000)" % pid)
        with get_sync_db_session("dead") as session:
            self.assertNotEqual(session.scalar("SELECT pg_backend_pid()"), pid)

    def test_a_notification_is_no_farewell(self):
        dbutil.configure(validate_after_idle=0)
        pool = get_connection_pool("told")
        with pool.session() as session:
            pid = session.scalar("SELECT pg_backend_pid()")
            session.execute("LISTEN told")
            session.commit()
        harness.server.sql("NOTIFY told")
        time.sleep(0.1)
        with pool.session() as session:
            self.assertEqual(session.scalar("SELECT pg_backend_pid()"), pid)

    def test_lifetime(self):
        dbutil.configure(lifetime=0.05, max_connections=1)
        with get_sync_db_session("old") as session:
            pid = session.scalar("SELECT pg_backend_pid()")
        time.sleep(0.1)
        with get_sync_db_session("old") as session:
            self.assertNotEqual(session.scalar("SELECT pg_backend_pid()"), pid)

    def test_lifetimes_differ(self):
        # what was made together is not replaced together
        dbutil.configure(lifetime=1000, max_connections=5)
        engine = get_connection_pool("spread").engine
        connections = [engine.connect() for _ in range(5)]
        ages = [time.time() - connection.connection._connection_record.starttime for connection in connections]
        for connection in connections:
            connection.close()
        self.assertGreater(max(ages) - min(ages), 0.1)
        self.assertLess(max(ages), 260)

    def test_recycle_and_close(self):
        pool = get_connection_pool("again")
        with get_sync_db_session("again") as session:
            pid = session.scalar("SELECT pg_backend_pid()")
        pool.recycle()
        with get_sync_db_session("again") as session:
            self.assertNotEqual(session.scalar("SELECT pg_backend_pid()"), pid)
        pool.close()
        with self.assertRaisesRegex(RuntimeError, "is closed"):
            pool.session()
        self.assertIsNot(get_connection_pool("again"), pool)

    def test_fork(self):
        with get_sync_db_session("fork") as session:
            pid = session.scalar("SELECT pg_backend_pid()")
        child = os.fork()
        if child == 0:
            try:
                with get_sync_db_session("fork") as session:
                    own = session.scalar("SELECT pg_backend_pid()") != pid
                dbutil.close_all_pools()
                os._exit(0 if own else 3)
            finally:
                os._exit(4)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        with get_sync_db_session("fork") as session:
            self.assertEqual(session.scalar("SELECT pg_backend_pid()"), pid)

    def test_commit_and_rollback(self):
        with get_sync_db_session("s") as session:
            session.execute("INSERT INTO users (name) VALUES ('kept')")
        with self.assertRaises(KeyError), get_sync_db_session("s") as session:
            session.execute("INSERT INTO users (name) VALUES ('lost')")
            raise KeyError
        self.assertEqual(harness.server.sql("SELECT name FROM users"), "kept")


class Prepared(Case):
    SQL = "SELECT id, name FROM users WHERE id = :id OR name = :name OR name = :id::text"

    def test_prepared_once_in_a_session(self):
        with get_sync_db_session("p") as session:
            for i in range(3):
                execute_prepared_statement(session, self.SQL, {"id": i, "name": "x"}, "p", "get")
            session.rollback()
            execute_prepared_statement(session, self.SQL, {"id": 1, "name": "x"}, "p", "get")
            self.assertEqual(session.scalar("SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements"), 4)
        self.assertEqual(self.value("dbutil_prepared_prepares"), 1)
        self.assertEqual(self.value("dbutil_prepared_time", service="p", name="get"), 4)
        self.assertGreaterEqual(self.value("dbutil_prepared_statements", service="p"), 1)

    def test_discarded_by_somebody_else(self):
        with get_sync_db_session("p") as session:
            execute_prepared_statement(session, "SELECT 1", None, "p", "one")
            session.execute("DEALLOCATE ALL")
            with self.assertRaises(sqlalchemy.exc.DBAPIError):
                execute_prepared_statement(session, "SELECT 1", None, "p", "one")
            session.rollback()
            self.assertEqual(execute_prepared_statement(session, "SELECT 1", None, "p", "one").scalar(), 1)
        self.assertEqual(self.value("dbutil_prepared_errors", code="26000"), 1)

    def test_columns_changed(self):
        with get_sync_db_session("p") as session:
            execute_prepared_statement(session, "SELECT * FROM users", None, "p", "all")
            session.commit()
            harness.server.sql("ALTER TABLE users ADD more int")
            with self.assertRaises(sqlalchemy.exc.DBAPIError) as caught:
                execute_prepared_statement(session, "SELECT * FROM users", None, "p", "all")
            self.assertEqual(dbutil.sqlstate(caught.exception), "0A000")
            session.rollback()
            result = execute_prepared_statement(session, "SELECT * FROM users", None, "p", "all")
            self.assertIn("more", result.keys())

    def test_only_so_many(self):
        from dbutil import prepared
        before, prepared.MAX_IN_SESSION = prepared.MAX_IN_SESSION, 2
        self.addCleanup(setattr, prepared, "MAX_IN_SESSION", before)
        with get_sync_db_session("p") as session:
            for i in (1, 2, 3, 4, 3):
                self.assertEqual(execute_prepared_statement(session, "SELECT %d" % i, None, "p", "n").scalar(), i)
            self.assertEqual(session.scalar("SELECT count(*) FROM pg_prepared_statements"), 2)

    def test_named_by_the_decorator(self):
        @with_prepared_statement("p", "by_decorator")
        def one(session):
            return execute_prepared_statement(session, "SELECT 1").scalar()
        with get_sync_db_session("p") as session:
            self.assertEqual(one(session), 1)
            with self.assertRaisesRegex(TypeError, "needs a service and a name"):
                execute_prepared_statement(session, "SELECT 1")
            with self.assertRaisesRegex(ValueError, ":id has no value"):
                execute_prepared_statement(session, self.SQL, {"name": 1}, "p", "get")
        self.assertEqual(self.value("dbutil_prepared_time", service="p", name="by_decorator"), 1)

    def test_nothing_kept_behind_a_pooler(self):
        dbutil.configure(pooler=True)
        with get_sync_db_session("p") as session:
            self.assertEqual(execute_prepared_statement(session, "SELECT :a", {"a": 1}, "p", "a").scalar(), 1)
            self.assertEqual(session.scalar("SELECT count(*) FROM pg_prepared_statements"), 0)


class Monitoring(Case):
    def test_errors_are_counted_by_sqlstate(self):
        @track_query_performance("select", "users", "m")
        def divide(session, by):
            return session.scalar("SELECT 1 / :by", {"by": by})
        with self.assertRaises(sqlalchemy.exc.DBAPIError), get_sync_db_session("m") as session:
            self.assertEqual(divide(session, 1), 1)
            divide(session, 0)
        self.assertEqual(self.value("dbutil_query_time", service="m"), 2)
        self.assertEqual(self.value("dbutil_query_errors", service="m", code="22012"), 1)

    def test_transactions_by_outcome_and_name(self):
        with track_transaction("m", "checkout") as block, get_sync_db_session("m") as session:
            session.execute("INSERT INTO users (name) VALUES ('a')")
        self.assertEqual(block.outcomes, ["committed"])
        with self.assertRaises(KeyError), track_transaction("m", "checkout") as block:
            with get_sync_db_session("m") as session:
                session.execute("INSERT INTO users (name) VALUES ('a')")
                raise KeyError
        self.assertEqual(block.outcomes, ["aborted"])
        self.assertEqual(self.value("dbutil_transactions", outcome="committed"), 1)
        self.assertEqual(self.value("dbutil_transactions", outcome="aborted"), 1)
        self.assertEqual(harness.server.sql("SELECT service, commits, rollbacks FROM dbutil.transactions "
                                            "WHERE name = 'checkout'"), "m|1|1")

    def test_a_transaction_that_is_open_already(self):
        with get_sync_db_session("m") as session:
            session.execute("SELECT 1")
            with track_transaction("m", "named late", session):
                self.assertEqual(session.scalar("SELECT name FROM dbutil.active_transactions "
                                                "WHERE pid = pg_backend_pid()"), "named late")
        self.assertEqual(self.value("dbutil_transactions", outcome="open"), 1)

    def test_analyze_query_runs_only_if_asked(self):
        harness.server.sql("INSERT INTO users (name) SELECT 'n' FROM generate_series(1, 100)")
        with get_sync_db_session("m") as session:
            plan = dbutil.analyze_query(session, "DELETE FROM users WHERE id > $1", [50], "m", run=True)
            self.assertEqual(session.scalar("SELECT count(*) FROM users"), 100)
            self.assertIn("Actual Rows", plan["plan"][0]["Plan"])
            self.assertNotIn("Actual Rows", dbutil.analyze_query(session, "SELECT 1", None, "m")["plan"][0]["Plan"])
