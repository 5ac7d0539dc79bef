"""Monitoring: times on the client's side, plans, health. Run with DBUTIL_DSN set."""

import dbutil

SERVICE = "monitoring-example"


@dbutil.track_query_performance("select", "example_ticks", SERVICE)
def count_ticks(session):
    return session.scalar("SELECT count(*) FROM example_ticks")


with dbutil.track_transaction(SERVICE, "count ticks") as block:
    with dbutil.get_sync_db_session(SERVICE) as session:
        session.execute("CREATE TABLE example_ticks AS SELECT g AS id, 'EUR/USD' AS pair "
                        "FROM generate_series(1, 200000) g")
        session.execute("ANALYZE example_ticks")
        print("ticks:", count_ticks(session))

        plan = dbutil.analyze_query(session, "SELECT * FROM example_ticks WHERE id = :id", {"id": 7}, SERVICE)
        for finding in plan["findings"]:
            print("finding:", finding["rule"], finding["relation"])

        health = dbutil.check_database_health(session, SERVICE, level="quick")
        print("health has a verdict:", health["status"] in ("ok", "warn", "critical", "unknown"))
        session.execute("DROP TABLE example_ticks")
print("transactions:", block.outcomes)

# for a /metrics page
wanted = ("dbutil_query_time_seconds_count", "dbutil_transactions_total")
print("\n".join(line for line in dbutil.metrics_text().splitlines() if line.startswith(wanted)))
dbutil.close_all_pools()
