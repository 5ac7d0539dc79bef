"""Every example of the deck, as it is written there but for the values checked."""

import asyncio
import unittest

import sqlalchemy

import harness
import dbutil
from dbutil import (analyze_query, bulk_delete, bulk_insert, bulk_update, check_database_health,
                    execute_prepared_statement, get_async_db_session, get_connection_pool, get_sync_db_session,
                    track_query_performance, track_transaction, with_prepared_statement)

users_table = sqlalchemy.Table(
    "users", sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("name", sqlalchemy.Text), sqlalchemy.Column("email", sqlalchemy.Text))


@with_prepared_statement("my_service", "get_user")
def get_user(session, user_id):
    result = execute_prepared_statement(
        session,
        "SELECT id, name, email FROM users WHERE id = :user_id",
        {"user_id": user_id},
        "my_service",
        "get_user",
    )

    row = result.fetchone()

    if row:
        return {
            "id": row[0],
            "name": row[1],
            "email": row[2],
        }

    return None


@track_query_performance("select", "users", "my_service")
def get_all_users(session):
    result = session.execute("SELECT id, name, email FROM users")

    return [
        {
            "id": row[0],
            "name": row[1],
            "email": row[2],
        }
        for row in result
    ]


@with_prepared_statement("my_service", "get_user")
async def get_user_async(session, user_id):
    result = await execute_prepared_statement(
        session,
        "SELECT id, name, email FROM users WHERE id = :user_id",
        {"user_id": user_id},
        "my_service",
        "get_user",
    )

    row = result.fetchone()

    if row:
        return {
            "id": row[0],
            "name": row[1],
            "email": row[2],
        }

    return None


@track_query_performance("select", "users", "my_service")
async def get_all_users_async(session):
    result = await session.execute("SELECT id, name, email FROM users")

    return [{"id": row[0], "name": row[1], "email": row[2]} for row in result]


class Deck(unittest.TestCase):
    def setUp(self):
        dbutil.configure(dsn=harness.server.dsn)
        self.addCleanup(dbutil.close_all_pools)
        harness.make_users()

    def test_connection_pool(self):
        pool = get_connection_pool("my_service")
        with get_sync_db_session("my_service") as session:
            result = session.execute("SELECT 1")
            self.assertEqual(result.scalar(), 1)
            self.assertEqual(pool.stats()["leased"], 1)

    def test_prepared_statement(self):
        harness.server.sql("INSERT INTO users VALUES (7, 'ann', 'ann@example.com')")
        with get_sync_db_session("my_service") as session:
            self.assertEqual(get_user(session, 7), {"id": 7, "name": "ann", "email": "ann@example.com"})
            self.assertIsNone(get_user(session, 8))

    def test_bulk_operations(self):
        with get_sync_db_session("my_service") as session:
            bulk_insert(
                session,
                users_table,
                [
                    {"name": "User 1", "email": "user1@example.com"},
                    {"name": "User 2", "email": "user2@example.com"},
                ],
                "my_service",
            )
            bulk_update(
                session,
                users_table,
                [
                    {"id": 1, "name": "Updated User 1"},
                    {"id": 2, "name": "Updated User 2"},
                ],
                "id",
                "my_service",
            )
        self.assertEqual(harness.server.sql("SELECT * FROM users ORDER BY id"),
                         "1|Updated User 1|user1@example.com\n2|Updated User 2|user2@example.com")
        with get_sync_db_session("my_service") as session:
            bulk_delete(
                session,
                users_table,
                [1, 2],
                "id",
                "my_service",
            )
        self.assertEqual(harness.server.sql("SELECT count(*) FROM users"), "0")

    def test_monitoring(self):
        harness.server.sql("INSERT INTO users (name) VALUES ('ann'), ('bob')")
        with get_sync_db_session("my_service") as session:
            with track_transaction("my_service"):
                users = get_all_users(session)
                plan = analyze_query(
                    session,
                    "SELECT * FROM users WHERE id = :user_id",
                    {"user_id": 1},
                    "my_service",
                )
                health = check_database_health(
                    session,
                    "my_service",
                )
        self.assertEqual([user["name"] for user in users], ["ann", "bob"])
        self.assertEqual(plan["plan"][0]["Plan"]["Relation Name"], "users")
        self.assertIn(health["status"], ("ok", "warn", "critical", "unknown"))
        self.assertEqual(health["service"]["name"], "my_service")


class AsyncDeck(unittest.TestCase):
    """The same, awaited: on SQLAlchemy over asyncpg, and on asyncpg directly."""

    def setUp(self):
        dbutil.configure(dsn=harness.server.dsn)
        harness.make_users()

    def both(self, work):
        """Run work(session) on an AsyncSession and on a connection of asyncpg."""
        async def main():
            try:
                harness.make_users()
                async with get_async_db_session("my_service") as session:
                    await work(session)
                harness.make_users()
                async with get_connection_pool("my_service").asyncpg_connection() as connection:
                    await work(connection)
            finally:
                await dbutil.aclose_all_pools()
        asyncio.run(main())

    def test_connection_pool(self):
        async def main():
            async with get_async_db_session("my_service") as session:
                result = await session.execute("SELECT 1")
                self.assertEqual(result.scalar(), 1)
            await dbutil.aclose_all_pools()
        asyncio.run(main())

    def test_prepared_statement(self):
        async def work(session):
            await bulk_insert(session, users_table, [{"id": 7, "name": "ann", "email": "a@example.com"}], "my_service")
            self.assertEqual(await get_user_async(session, 7), {"id": 7, "name": "ann", "email": "a@example.com"})
            self.assertIsNone(await get_user_async(session, 8))
        self.both(work)

    def test_bulk_operations(self):
        async def work(session):
            await bulk_insert(session, users_table, [{"name": "User 1", "email": "user1@example.com"},
                                                     {"name": "User 2", "email": "user2@example.com"}], "my_service")
            result = await bulk_update(session, users_table, [{"id": 1, "name": "Updated User 1"},
                                                              {"id": 2, "name": "Updated User 2"}],
                                       "id", "my_service")
            self.assertEqual(result.updated, 2)
            self.assertEqual((await get_user_async(session, 2))["name"], "Updated User 2")
            result = await bulk_delete(session, users_table, [1, 2], "id", "my_service")
            self.assertEqual(result.deleted, 2)
        self.both(work)

    def test_monitoring(self):
        async def work(session):
            async with track_transaction("my_service"):
                if not dbutil.links.is_asyncpg(session):
                    self.assertEqual(await get_all_users_async(session), [])
                plan = await analyze_query(session, "SELECT * FROM users WHERE id = :user_id", {"user_id": 1},
                                           "my_service")
                health = await check_database_health(session, "my_service")
            self.assertEqual(plan["plan"][0]["Plan"]["Relation Name"], "users")
            self.assertEqual(health["service"]["name"], "my_service")
        self.both(work)
