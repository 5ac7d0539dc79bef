"""Pools for asyncio: SQLAlchemy over asyncpg, and asyncpg itself. Run with DBUTIL_DSN set."""

import asyncio

import dbutil

dbutil.configure("pool-example", max_connections=3)


async def work(number):
    async with dbutil.get_async_db_session("pool-example") as session:
        return await session.scalar("SELECT CAST(:number AS int) * 2", {"number": number})


async def main():
    print("doubled:", await asyncio.gather(*[work(number) for number in range(8)]))

    # for the critical path: no SQLAlchemy, statements prepared by asyncpg
    pool = dbutil.get_connection_pool("pool-example")
    async with pool.asyncpg_connection() as connection:
        print("directly:", await connection.fetchval("SELECT $1::int * 2", 21))
    await dbutil.aclose_all_pools()

asyncio.run(main())
