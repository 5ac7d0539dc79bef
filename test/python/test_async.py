"""The asynchronous half: pools of an event loop, sessions, asyncpg directly."""

import asyncio
import unittest

import sqlalchemy

import harness
import dbutil
from dbutil import async_pool, get_async_db_session, get_connection_pool, settings, track_transaction


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        settings._given.clear()
        dbutil.configure(dsn=harness.server.dsn)
        dbutil.reset_metrics()
        harness.make_users()

    async def asyncTearDown(self):
        await dbutil.aclose_all_pools()

    async def test_the_server_attributes(self):
        async with get_async_db_session("my service") as session:
            self.assertEqual(await session.scalar("SHOW dbutil.service"), "my service")
            self.assertEqual(await session.scalar("SHOW application_name"), "my service")
        async with get_connection_pool("my service").asyncpg_connection() as connection:
            self.assertEqual(await connection.fetchval("SHOW dbutil.service"), "my service")
            self.assertEqual(await connection.fetchval("SHOW statement_timeout"), "5min")

    async def test_commit_and_rollback(self):
        async with get_async_db_session("s") as session:
            await session.execute("INSERT INTO users (name) VALUES (:name)", {"name": "kept: 12:30"})
        with self.assertRaises(KeyError):
            async with get_async_db_session("s") as session:
                await session.execute("INSERT INTO users (name) VALUES ('lost')")
                raise KeyError
        self.assertEqual(harness.server.sql("SELECT name FROM users"), "kept: 12:30")

    async def test_a_cancelled_task_gives_its_connection_back(self):
        dbutil.configure(max_connections=1)

        async def sleep():
            async with get_async_db_session("c") as session:
                await session.execute("SELECT pg_sleep(60)")
        task = asyncio.create_task(sleep())
        await asyncio.sleep(0.3)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        async with get_async_db_session("c") as session:
            self.assertEqual(await session.scalar("SELECT 1"), 1)

    async def test_never_more_than_max_and_a_timeout(self):
        dbutil.configure(max_connections=2, acquire_timeout=0.2)
        pool = get_connection_pool("small")
        async with pool.asyncpg_connection(), pool.asyncpg_connection():
            self.assertEqual(pool.stats(), {"max": 2, "total": 2, "idle": 0, "leased": 2, "waiting": 0})
            with self.assertRaises(asyncio.TimeoutError):
                async with pool.asyncpg_connection():
                    pass
        first, second, third = pool.async_session(), pool.async_session(), pool.async_session()
        async with first, second, third:
            await first.execute("SELECT 1")
            await second.execute("SELECT 1")
            with self.assertRaises(sqlalchemy.exc.TimeoutError):
                await third.execute("SELECT 1")
        self.assertEqual([entry["value"] for entry in dbutil.metrics()["db_client_connection_timeouts"]], [2])

    async def test_many_tasks_share_few(self):
        dbutil.configure(max_connections=3)

        async def work():
            async with get_async_db_session("tasks") as session:
                return await session.scalar("SELECT pg_backend_pid()")
        pids = await asyncio.gather(*[work() for _ in range(40)])
        self.assertLessEqual(len(set(pids)), 3)

    async def test_a_dead_connection_is_not_lent(self):
        dbutil.configure(validate_after_idle=0)
        async with get_async_db_session("dead") as session:
            pid = await session.scalar("SELECT pg_backend_pid()")
        harness.server.sql("SELECT pg_terminate_backend(%d, 10000)" % pid)
        await asyncio.sleep(0.1)
        async with get_async_db_session("dead") as session:
            self.assertNotEqual(await session.scalar("SELECT pg_backend_pid()"), pid)

    async def test_transactions_are_named(self):
        async with track_transaction("m", "async checkout") as block:
            async with get_async_db_session("m") as session:
                await session.execute("INSERT INTO users (name) VALUES ('a')")
        self.assertEqual(block.outcomes, ["committed"])
        self.assertEqual(harness.server.sql("SELECT commits FROM dbutil.transactions WHERE name = 'async checkout'"), "1")

    async def test_each_task_has_its_own_block(self):
        async def work(fails):
            try:
                async with track_transaction("m") as block, get_async_db_session("m") as session:
                    await session.execute("SELECT pg_sleep(0.05)")
                    if fails:
                        raise KeyError
            except KeyError:
                pass
            return block.outcomes
        self.assertEqual(await asyncio.gather(*[work(i % 2) for i in range(6)]), [["committed"], ["aborted"]] * 3)

    async def test_with_for_an_asynchronous_session_is_an_error(self):
        async with get_async_db_session("m") as session:
            with self.assertRaisesRegex(TypeError, "async with"), track_transaction("m", "n", session):
                pass


class Arguments(unittest.TestCase):
    def setUp(self):
        settings._given.clear()

    def args(self, dsn, **more):
        return async_pool.connect_args(settings.Settings(dsn=dsn, **more), "s")

    def test_options(self):
        found = self.args("host=/x options='-c work_mem=5MB --lock-timeout=3' application_name=a")["server_settings"]
        self.assertEqual((found["work_mem"], found["lock_timeout"], found["application_name"]), ("5MB", "3", "a"))
        with self.assertRaisesRegex(ValueError, "options in a dsn for asyncpg"):
            self.args("options=-f")

    def test_what_asyncpg_cannot(self):
        with self.assertRaisesRegex(ValueError, "asyncpg does not know gssencmode"):
            self.args("gssencmode=disable")

    def test_names_that_no_other_process_gives(self):
        # behind a pooler two processes prepare in the same session; newer asyncpg
        # gives no name at all then
        async def prepared(pooler):
            args = self.args(harness.server.dsn, pooler=pooler)
            connection = await async_pool.asyncpg.connect(**args)
            statement = await connection.prepare("SELECT name FROM pg_prepared_statements")
            name = await statement.fetchval()
            await connection.close()
            return name
        self.assertRegex(asyncio.run(prepared(True)) or "none", "^(none|__asyncpg_stmt_[0-9a-f]{32}__)$")
        self.assertRegex(asyncio.run(prepared(False)), "^__asyncpg_stmt_[0-9a-f]{1,8}__$")

    def test_a_pool_for_each_loop(self):
        dbutil.configure(dsn=harness.server.dsn)

        async def once():
            async with get_async_db_session("loops") as session:
                await session.execute("SELECT 1")
            stats = get_connection_pool("loops").stats()
            await dbutil.aclose_all_pools()
            return stats["total"]
        self.assertEqual([asyncio.run(once()), asyncio.run(once())], [1, 1])
        with self.assertRaisesRegex(RuntimeError, "no running event loop"):
            get_connection_pool("loops").async_session()
