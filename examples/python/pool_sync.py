"""A pool of connections for threads. Run with DBUTIL_DSN='host=... dbname=...' set."""

import concurrent.futures

import dbutil

dbutil.configure("pool-example", max_connections=3, acquire_timeout=5.0)


def work(number):
    # the connection comes with the first statement and goes back at the block's end
    with dbutil.get_sync_db_session("pool-example") as session:
        return session.scalar("SELECT :number * 2", {"number": number})


with concurrent.futures.ThreadPoolExecutor(8) as threads:
    print("doubled:", list(threads.map(work, range(8))))

pool = dbutil.get_connection_pool("pool-example")
stats = pool.stats()
print("8 threads shared at most", stats["max"], "connections:", stats["total"] <= stats["max"])

# psycopg2 itself, for what SQLAlchemy would be in the way of
with pool.connection() as connection, connection.cursor() as cursor:
    cursor.execute("SHOW dbutil.service")
    print("the server calls us", cursor.fetchone()[0])

dbutil.close_all_pools()
