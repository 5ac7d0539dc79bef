"""Resilience: retries of whole transactions, outcomes, deadlines. Run with DBUTIL_DSN set."""

import dbutil

SERVICE = "resilience-example"
attempts = 0


def transfer(session, amount):
    """Called again after a conflict, so it changes nothing but the database."""
    global attempts
    attempts += 1
    session.execute("UPDATE example_accounts SET balance = balance - :amount WHERE id = 1", {"amount": amount})
    if attempts == 1:       # as if another transaction had come first
        session.execute("DO $$ BEGIN RAISE serialization_failure; END $$")
    session.execute("UPDATE example_accounts SET balance = balance + :amount WHERE id = 2", {"amount": amount})
    return session.scalar("SELECT string_agg(balance::text, ', ' ORDER BY id) FROM example_accounts")


with dbutil.get_sync_db_session(SERVICE) as session:
    session.execute("CREATE TABLE example_accounts (id int PRIMARY KEY, balance int)")
    session.execute("INSERT INTO example_accounts VALUES (1, 100), (2, 0)")

try:
    balances = dbutil.run_transaction(SERVICE, transfer, 30, isolation="serializable", deadline=10.0)
    print("balances", balances, "after", attempts, "attempts")
except dbutil.OutcomeUnknown:
    print("COMMIT was not answered: look before doing it again")
except dbutil.Unavailable:
    print("the server cannot be reached; nothing was sent")

with dbutil.get_sync_db_session(SERVICE) as session:
    session.execute("DROP TABLE example_accounts")
print("retries", sum(entry["value"] for entry in dbutil.metrics()["dbutil_retries"]))
dbutil.close_all_pools()
