"""Prepared statements: parsed once in a session, executed many times. Run with DBUTIL_DSN set."""

import dbutil

SERVICE = "prepared-example"


@dbutil.with_prepared_statement(SERVICE, "pair_by_id")
def pair_by_id(session, tick_id):
    result = dbutil.execute_prepared_statement(
        session, "SELECT pair, bid FROM example_ticks WHERE id = :id", {"id": tick_id})
    row = result.fetchone()
    return None if row is None else {"pair": row[0], "bid": str(row[1])}


with dbutil.get_sync_db_session(SERVICE) as session:
    session.execute("CREATE TABLE example_ticks (id int PRIMARY KEY, pair text, bid numeric)")
    session.execute("INSERT INTO example_ticks VALUES (1, 'EUR/USD', 1.08), (2, 'USD/JPY', 151.2)")
    for tick_id in (1, 2, 3):
        print(tick_id, pair_by_id(session, tick_id))
    session.execute("DROP TABLE example_ticks")

for metric in ("dbutil_prepared_prepares", "dbutil_prepared_time"):
    for entry in dbutil.metrics()[metric]:
        print(metric, entry.get("value", entry.get("count")))
dbutil.close_all_pools()
