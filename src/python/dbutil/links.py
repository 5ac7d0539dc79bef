"""One way to run statements on every kind of session.

What the functions of this package do is written once, as generators that yield
a Statement and are sent its Rows. run() drives such a generator at once for a
SQLAlchemy Session or Connection, and gives a coroutine for an AsyncSession, an
AsyncConnection or a connection of asyncpg.
"""

import collections

import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio

from . import names

try:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy
    ASYNCPG = (asyncpg.Connection, PoolConnectionProxy)
except ImportError:         # the synchronous half works without
    ASYNCPG = ()

SYNC = (orm.Session, orm.scoped_session, sqlalchemy.engine.Connection)
ASYNC = (sa_asyncio.AsyncSession, sa_asyncio.AsyncConnection)

# sql with :name for each parameter
Statement = collections.namedtuple("Statement", "sql params", defaults=((),))


class Rows:
    """The rows of a statement run by asyncpg, with the methods of SQLAlchemy's results."""

    def __init__(self, records):
        self._records = list(records)
        self._at = 0

    def fetchone(self):
        if self._at >= len(self._records):
            return None
        self._at += 1
        return self._records[self._at - 1]

    def fetchall(self):
        rest = self._records[self._at:]
        self._at = len(self._records)
        return rest

    all = fetchall

    def scalar(self):
        row = self.fetchone()
        return None if row is None else row[0]

    def __iter__(self):
        return iter(self.fetchall())


def as_text(statement):
    """A string as SQLAlchemy's text(), its own statements as they are."""
    if isinstance(statement, str):
        return sqlalchemy.text(names.for_sqlalchemy(statement))
    return statement


def is_async(session):
    """Does work on this session have to be awaited? TypeError if it is no session."""
    if isinstance(session, SYNC):
        return False
    if isinstance(session, ASYNC) or isinstance(session, ASYNCPG):
        return True
    raise TypeError("a session must be a Session or Connection of SQLAlchemy, their asynchronous kin "
                    "or a connection of asyncpg, not %s" % type(session).__name__)


def is_asyncpg(session):
    return isinstance(session, ASYNCPG)


def sync_of(session):
    """The synchronous Session or Connection that an asynchronous one of SQLAlchemy stands for."""
    if isinstance(session, sa_asyncio.AsyncSession):
        return session.sync_session
    if isinstance(session, sa_asyncio.AsyncConnection):
        return session.sync_connection
    return session() if isinstance(session, orm.scoped_session) else session


def _execute(session, statement):
    return session.execute(as_text(statement.sql), dict(statement.params))


async def _execute_asyncpg(connection, statement):
    params = dict(statement.params)
    sql, order = names.numbered(statement.sql)
    names.check(order, params)
    return Rows(await connection.fetch(sql, *[params[name] for name in order]))


def run(session, generator):
    """Run the generator's statements on session; its result, or a coroutine that gives it."""
    if is_async(session):
        return _run_async(session, generator)
    try:
        statement = next(generator)
        while True:
            try:
                result = _execute(session, statement)
            except Exception as error:      # the generator may have something to put right
                statement = generator.throw(error)
            else:
                statement = generator.send(result)
    except StopIteration as end:
        return end.value


async def _run_async(session, generator):
    execute = _execute_asyncpg if is_asyncpg(session) else _execute
    try:
        statement = next(generator)
        while True:
            try:
                result = await execute(session, statement)
            except Exception as error:
                statement = generator.throw(error)
            else:
                statement = generator.send(result)
    except StopIteration as end:
        return end.value
