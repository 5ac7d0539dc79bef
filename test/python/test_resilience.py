"""Outcomes, retries, deadlines and the breaker, against a real server and a proxy that
loses connections; the breaker's rules with a clock of its own."""

import asyncio
import time
import unittest

import sqlalchemy

import harness
import proxy
import dbutil
from dbutil import OutcomeUnknown, Unavailable, breaker, get_sync_db_session, retry, run_transaction, settings


COMMIT = rb"COMMIT[;\0]"        # not the one in READ COMMITTED


class Case(unittest.TestCase):
    def setUp(self):
        settings._given.clear()
        self.proxy = proxy.Proxy(harness.server.dir)
        self.addCleanup(self.proxy.close)
        self.addCleanup(dbutil.close_all_pools)
        dbutil.configure(dsn=harness.server.dsn.replace(harness.server.dir, self.proxy.dir))
        dbutil.reset_metrics()
        harness.make_users()
        self.calls = 0

    def users(self):
        return harness.server.sql("SELECT count(*) FROM users")

    def count(self, metric, **labels):
        return sum(entry["value"] for entry in dbutil.metrics().get(metric, ())
                   if all(entry["labels"].get(name) == value for name, value in labels.items()))

    def insert(self, session):
        self.calls += 1
        session.execute("INSERT INTO users (name) VALUES ('a')")
        return self.calls

    def run_async(self, function):
        async def main():
            try:
                return await run_transaction("r", function)
            finally:
                await dbutil.aclose_all_pools()
        return asyncio.run(main())

    async def insert_async(self, session):
        self.calls += 1
        await session.execute("INSERT INTO users (name) VALUES ('a')")
        return self.calls

    def both(self, check):
        """check(run) for the synchronous half and for the asynchronous one."""
        for name, run in (("sync", lambda: run_transaction("r", self.insert)),
                          ("async", lambda: self.run_async(self.insert_async))):
            with self.subTest(name):
                self.calls = 0
                harness.make_users()
                dbutil.reset_metrics()
                check(run)

    def test_an_answer_that_never_came_is_unknown_and_not_repeated(self):
        for when, rows in (("after", "1"), ("before", "0")):
            def check(run):
                self.proxy.cut(COMMIT, when)
                with self.assertRaises(OutcomeUnknown):
                    run()
                self.assertEqual((self.calls, self.users()), (1, rows))
                self.assertEqual(self.count("dbutil_transaction_ends", outcome="unknown"), 1)
            self.both(check)

    def test_of_a_block_too(self):
        self.proxy.cut(COMMIT, "after")
        with self.assertRaises(OutcomeUnknown), get_sync_db_session("r") as session:
            self.insert(session)

    def test_idempotent_is_repeated(self):
        self.proxy.cut(COMMIT, "before")
        self.assertEqual(run_transaction("r", self.insert, idempotent=True), 2)
        self.assertEqual(self.users(), "1")

    def test_a_connection_lost_before_commit_is_repeated(self):
        def check(run):
            self.proxy.cut(b"INSERT", "after")
            self.assertEqual(run(), 2)
            self.assertEqual(self.users(), "1")
            self.assertEqual(self.count("dbutil_transaction_ends", outcome="aborted"), 1)
        self.both(check)

    def test_conflicts_are_repeated_other_errors_not(self):
        def fails(session, code, times):
            self.calls += 1
            if self.calls <= times:
                session.execute("DO $$ BEGIN RAISE 'x' USING ERRCODE = '%s'; END $$" % code)
            return self.calls
        for code in ("40001", "40P01"):
            self.calls = 0
            self.assertEqual(run_transaction("r", fails, code, 2), 3)
        for code in ("23505", "57014", "55P03"):
            self.calls = 0
            with self.subTest(code), self.assertRaises(sqlalchemy.exc.DBAPIError):
                run_transaction("r", fails, code, 2)
            self.assertEqual(self.calls, 1)
        self.calls = 0
        with self.assertRaises(sqlalchemy.exc.DBAPIError):
            run_transaction("fresh budget", fails, "40001", 99)
        self.assertEqual(self.calls, retry.ATTEMPTS)

    def test_a_real_conflict(self):
        harness.server.sql("INSERT INTO users (name) VALUES ('a')")

        def rename(session):
            self.calls += 1
            session.execute("SELECT * FROM users")
            if self.calls == 1:
                harness.server.sql("UPDATE users SET name = 'b'")
            session.execute("UPDATE users SET name = name || 'c'")
        run_transaction("r", rename, isolation="repeatable read")
        self.assertEqual((self.calls, harness.server.sql("SELECT name FROM users")), (2, "bc"))

    def test_the_budget(self):
        def fails(session):
            self.calls += 1
            session.execute("DO $$ BEGIN RAISE serialization_failure; END $$")
        for _ in range(100):
            with self.assertRaises(sqlalchemy.exc.DBAPIError):
                run_transaction("r", fails)
        self.assertLessEqual(self.calls, 110)
        self.assertGreater(self.count("dbutil_retries_denied"), 0)

    def test_a_failed_statement_that_was_passed_over(self):
        # the server would answer COMMIT with ROLLBACK, and no driver would tell
        def passes_over(session):
            self.insert(session)
            try:
                session.execute("SELECT 1 / 0")
            except sqlalchemy.exc.DBAPIError:
                pass
        with self.assertRaises(sqlalchemy.exc.DBAPIError) as caught:
            run_transaction("r", passes_over)
        self.assertEqual((dbutil.sqlstate(caught.exception), self.users()), ("25P02", "0"))

        def in_a_savepoint(session):
            self.insert(session)
            try:
                with session.begin_nested():
                    session.execute("SELECT 1 / 0")
            except sqlalchemy.exc.DBAPIError:
                pass
        run_transaction("r", in_a_savepoint)
        self.assertEqual(self.users(), "1")

    def test_a_deferred_constraint_is_no_unknown(self):
        harness.server.sql("ALTER TABLE users ADD UNIQUE (email) DEFERRABLE INITIALLY DEFERRED")
        with self.assertRaises(sqlalchemy.exc.IntegrityError), get_sync_db_session("r") as session:
            session.execute("INSERT INTO users (name, email) VALUES ('a', 'x'), ('b', 'x')")
        self.assertEqual(self.count("dbutil_transaction_ends", outcome="aborted"), 1)

    def test_deadline(self):
        start = time.monotonic()
        with self.assertRaises(sqlalchemy.exc.DBAPIError) as caught:
            run_transaction("r", lambda session: session.execute("SELECT pg_sleep(30)"), deadline=0.2)
        self.assertEqual(dbutil.sqlstate(caught.exception), "57014")
        self.assertLess(time.monotonic() - start, 20)

        def slow_itself(session):
            self.insert(session)
            time.sleep(0.3)
        with self.assertRaises(dbutil.DeadlineExceeded):
            run_transaction("r", slow_itself, deadline=0.2)
        self.assertEqual(self.users(), "0")

    def test_bad_arguments(self):
        for name, value in (("deadline", 0), ("isolation", "chaos; DROP TABLE users")):
            with self.subTest(name), self.assertRaisesRegex(ValueError, name):
                run_transaction("r", self.insert, **{name: value})

    def test_what_no_repetition_mends_is_told_at_once(self):
        dbutil.configure(dsn=harness.server.dsn.replace("dbutil_python", "nowhere"), acquire_timeout=30)
        start = time.monotonic()
        with self.assertRaisesRegex(sqlalchemy.exc.OperationalError, "nowhere"):
            run_transaction("r", self.insert)

        async def code():
            async with dbutil.get_async_db_session("r2") as session:
                await session.execute("SELECT 1")
        with self.assertRaises(Exception) as caught:
            asyncio.run(code())
        self.assertEqual(dbutil.sqlstate(caught.exception), "3D000")
        self.assertLess(time.monotonic() - start, 15)


class Away(unittest.TestCase):
    """The server is away and comes back."""

    def setUp(self):
        settings._given.clear()
        dbutil.reset_metrics()
        self.addCleanup(dbutil.close_all_pools)

    def test_away_and_back(self):
        dbutil.configure(dsn=harness.server.dsn, acquire_timeout=1.0, validate_after_idle=0)
        with get_sync_db_session("away") as session:
            session.execute("SELECT 1")
        harness.server.stop("immediate")
        try:
            for _ in range(2):
                with self.assertRaises(Unavailable), get_sync_db_session("away") as session:
                    session.execute("SELECT 1")
            pool = dbutil.get_connection_pool("away")
            self.assertEqual((pool.breaker.state, pool.breaker.opened), ("open", 1))
            self.assertIn('dbutil_breaker_state{service="away",state="open"} 1\n', dbutil.metrics_text())

            async def direct():
                async with pool.asyncpg_connection():
                    pass
            with self.assertRaises(Unavailable):
                asyncio.run(direct())
        finally:
            harness.server.start()
        with get_sync_db_session("away") as session:
            self.assertEqual(session.scalar("SELECT 1"), 1)
        self.assertNotEqual(pool.breaker.state, "open")


class Rules(unittest.TestCase):
    """The breaker alone."""

    def setUp(self):
        self.now = 0.0
        self.breaker = breaker.Breaker(10.0, 4, lambda: self.now)

    def admitted(self, most=100):
        tickets = []
        while len(tickets) < most:
            ticket, _ = self.breaker.admit()
            if ticket is None:
                break
            tickets.append(ticket)
        return tickets

    def test_failures_that_began_together_count_once(self):
        for ticket in self.admitted(5):
            self.breaker.failed(ticket, OSError("x"))
        self.assertEqual((self.breaker.state, self.breaker.opened, self.breaker._failures), ("open", 1, 1))

    def test_one_prober_and_a_ramp(self):
        self.breaker.failed(self.admitted(1)[0], OSError("x"))
        self.now += 1
        prober, = self.admitted()
        self.breaker.succeeded(prober)
        self.assertEqual(self.breaker.state, "ramp")
        pair = self.admitted()
        self.assertEqual(len(pair), 2)
        self.breaker.succeeded(pair[0])
        self.assertEqual(self.breaker.state, "closed")
        self.breaker.failed(pair[1], OSError("x"))
        self.assertEqual(self.breaker.state, "open")

    def test_a_stuck_prober_is_given_up(self):
        self.breaker.failed(self.admitted(1)[0], OSError("x"))
        self.now += 1
        stuck, = self.admitted()
        self.now += 9
        self.assertEqual(self.admitted(), [])
        self.now += 2
        prober, = self.admitted()
        self.breaker.succeeded(prober)
        self.breaker.failed(stuck, OSError("late"))
        self.assertEqual(self.breaker.state, "ramp")

    def test_pauses(self):
        self.assertEqual([round(breaker.backoff(n, False, lambda: 1), 2) for n in range(6)],
                         [0.05, 0.1, 0.2, 0.4, 0.8, 1.0])
        self.assertEqual([breaker.backoff(n, False, lambda: 0) for n in (0, 4, 5, 99)], [0, 0, 0.75, 0.75])
        self.assertEqual((breaker.backoff(0, True, lambda: 0), breaker.backoff(99, True, lambda: 1)), (0.5, 5.0))
        self.assertEqual([retry.pause(n, lambda: 1) for n in (1, 2, 3, 99)], [0.005, 0.01, 0.02, 1.0])

    def test_fail_fast(self):
        self.breaker.failed(self.admitted(1)[0], OSError("gone"))
        self.now += 31
        probing, = self.admitted()
        work = breaker.attempts(self.breaker, 60, 30, lambda error: "away", lambda: self.now)
        with self.assertRaisesRegex(Unavailable, "gone"):
            next(work)
        self.breaker.left(probing)

    def test_full_is_no_outage(self):
        work = breaker.attempts(self.breaker, 60, 30, lambda error: "full", lambda: self.now)
        self.assertEqual(next(work), ("try", None))
        self.assertEqual(work.send(OSError("full"))[0], "wait")
        self.assertEqual(self.breaker.state, "closed")

    def test_messages_without_a_code(self):
        self.assertTrue(breaker.is_refusal(None, 'FATAL:  database "x" does not exist'))
        self.assertFalse(breaker.is_refusal(None, "FATAL:  the database system is starting up"))
        self.assertFalse(breaker.is_refusal(None, "Connection refused"))
        self.assertTrue(breaker.is_full(None, "FATAL:  sorry, too many clients already"))
        self.assertTrue(breaker.is_full("53300", ""))
