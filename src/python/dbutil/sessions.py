"""Sessions of SQLAlchemy that take SQL as strings and tell how transactions ended."""

import contextlib

from sqlalchemy import event, orm

from . import links, tracking, transactions


class ServiceSession(orm.Session):
    """A session of a service: statements may be strings with :name parameters."""

    def execute(self, statement, params=None, *args, **options):
        return super().execute(links.as_text(statement), params, *args, **options)

    def scalar(self, statement, params=None, *args, **options):
        return super().scalar(links.as_text(statement), params, *args, **options)

    def scalars(self, statement, params=None, *args, **options):
        return super().scalars(links.as_text(statement), params, *args, **options)


@event.listens_for(ServiceSession, "after_begin")
def _after_begin(session, transaction, connection):
    if transaction.nested:
        return
    connection.info.pop("dbutil_failed", None)
    name = tracking.transaction_name()
    if name is not None:
        connection.execute(links.as_text(tracking.NAME_TRANSACTION),
                           {"service": session.info.get("dbutil_service"), "name": name})
    session.info["dbutil_began"] = True
    session.info["dbutil_connection"] = connection


@event.listens_for(ServiceSession, "before_commit")
def _before_commit(session):
    transactions.check_failed(session)


@event.listens_for(ServiceSession, "after_commit")
def _after_commit(session):
    if session.info.pop("dbutil_began", False):
        tracking.transaction_ended("committed")


@event.listens_for(ServiceSession, "after_rollback")
def _after_rollback(session):
    if session.info.pop("dbutil_began", False):
        tracking.transaction_ended("aborted")


def new_session(engine, service):
    session = ServiceSession(bind=engine, future=True)
    session.info["dbutil_service"] = service
    return session


@contextlib.contextmanager
def get_sync_db_session(service):
    """A session of the service's pool, for a with block.

    The block's end commits, an exception in it rolls back; the connection then
    goes back to the pool. Errors: what the block raises, sqlalchemy.exc.TimeoutError
    if no connection came free in time, Unavailable if none could be made, OutcomeUnknown
    if COMMIT was not answered. A block cannot be done again: for retries see
    run_transaction().
    """
    from . import pool      # pool makes sessions, so it comes first

    session = pool.get_connection_pool(service).session()
    with transactions.ended(session):
        yield session


@contextlib.asynccontextmanager
async def get_async_db_session(service):
    """As get_sync_db_session(), for `async with`: an AsyncSession over asyncpg."""
    from . import pool

    session = pool.get_connection_pool(service).async_session()
    async with transactions.ended_async(session):
        yield session
