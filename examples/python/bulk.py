"""Bulk writes: many rows in one statement. Run with DBUTIL_DSN set."""

import decimal

import sqlalchemy

import dbutil

SERVICE = "bulk-example"
ticks = sqlalchemy.Table(
    "example_ticks", sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.BigInteger, primary_key=True),
    sqlalchemy.Column("pair", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("bid", sqlalchemy.Numeric))

with dbutil.get_sync_db_session(SERVICE) as session:
    ticks.create(session.connection())

    # any iterable of dictionaries; it is sent 10,000 rows at a time
    rows = ({"id": i, "pair": "EUR/USD", "bid": decimal.Decimal(108000 + i) / 100000} for i in range(25000))
    print("inserted", dbutil.bulk_insert(session, ticks, rows, SERVICE).inserted)

    # upsert: new rows are inserted, those with a known key updated
    again = [{"id": 24999, "pair": "EUR/USD", "bid": 1}, {"id": 25000, "pair": "USD/JPY", "bid": 151}]
    result = dbutil.bulk_insert(session, ticks, again, SERVICE, on_conflict="update")
    print("inserted", result.inserted, "updated", result.updated)

    # bad rows are told one by one, the others written
    bad = [{"id": 30000, "pair": "GBP/USD", "bid": 1}, {"id": 30001, "pair": None, "bid": 1}]
    result = dbutil.bulk_insert(session, ticks, bad, SERVICE, on_error="reject")
    rejects = session.execute("SELECT ord, sqlstate, column_name FROM dbutil.bulk_rejects WHERE job = :job",
                              {"job": result.jobs[0]})
    print("inserted", result.inserted, "rejected", [tuple(row) for row in rejects])

    print("updated", dbutil.bulk_update(session, ticks, [{"id": 1, "bid": 2}, {"id": 2, "bid": 3}],
                                        "id", SERVICE).updated)
    result = dbutil.bulk_delete(session, ticks, [1, 2, -1], "id", SERVICE)
    print("deleted", result.deleted, "missing", result.missing)
    ticks.drop(session.connection())

dbutil.close_all_pools()
