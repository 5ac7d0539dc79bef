"""Transactions with an end that is known: committed, aborted or unknown.

The fate of a transaction is certain but for one case: COMMIT was sent and its
answer did not come. That one is never done again, unless the caller says that
doing it twice does no harm. Before COMMIT a lost connection means that the server
rolls back.
"""

import asyncio
import contextlib
import inspect
import time

import sqlalchemy
from sqlalchemy import exc

from . import errors, links, meters, retry

ISOLATION = ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED")


class OutcomeUnknown(Exception):
    """COMMIT was sent and its answer never came: what the transaction wrote may be there
    or not. __cause__ is what came instead."""


class DeadlineExceeded(TimeoutError):
    """The deadline passed before COMMIT was sent: rolled back."""


def _commit_is_unknown(error):
    """COMMIT failed: did the server say that it rolled back?"""
    if isinstance(error, exc.InvalidRequestError):       # it was not sent
        return False
    if errors.sqlstate(error) is None:
        return True
    return retry.is_lost(error)


def _told(session, outcome):
    meters.count("dbutil_transaction_ends", service=session.info.get("dbutil_service", ""), outcome=outcome)


def _check_deadline(deadline):
    if deadline is not None and time.monotonic() >= deadline:
        raise DeadlineExceeded("the deadline passed before the transaction could be committed: rolled back")


def check_failed(session):
    """Raise 25P02 where a statement failed and the caller went on: the server would
    answer COMMIT with ROLLBACK, and the drivers would not tell."""
    connection = session.info.get("dbutil_connection")
    if connection is not None and not connection.closed and not connection.invalidated \
            and connection.info.get("dbutil_failed"):
        connection.execute(sqlalchemy.text("SELECT 1"))


@contextlib.contextmanager
def ended(session, deadline=None):
    """The block's session is committed at its end, rolled back by an exception, closed."""
    try:
        try:
            yield session
            session.flush()
            _check_deadline(deadline)
        except BaseException:
            session.rollback()
            _told(session, "aborted")
            raise
        try:
            session.commit()
        except BaseException as error:
            unknown = _commit_is_unknown(error)
            with contextlib.suppress(exc.SQLAlchemyError):
                session.rollback()
            _told(session, "unknown" if unknown else "aborted")
            if unknown and isinstance(error, Exception):
                raise OutcomeUnknown("COMMIT was sent and not answered: %s" % error) from error
            raise
        _told(session, "committed")
    finally:
        session.close()


@contextlib.asynccontextmanager
async def ended_async(session, deadline=None):
    """As ended(), of an AsyncSession."""
    sync = session.sync_session
    try:
        try:
            yield session
            await session.flush()
            _check_deadline(deadline)
        except BaseException:
            await session.rollback()
            _told(sync, "aborted")
            raise
        try:
            await session.commit()
        except BaseException as error:
            unknown = _commit_is_unknown(error)
            with contextlib.suppress(exc.SQLAlchemyError, OSError):
                await session.rollback()
            _told(sync, "unknown" if unknown else "aborted")
            if unknown and isinstance(error, Exception):
                raise OutcomeUnknown("COMMIT was sent and not answered: %s" % error) from error
            raise
        _told(sync, "committed")
    finally:
        await session.close()


class _Attempts:
    """One call of run_transaction(): how often, and until when."""

    def __init__(self, pool, deadline, isolation, idempotent):
        if deadline is not None and not deadline > 0:
            raise ValueError("deadline must be more than 0 seconds, not %r" % (deadline,))
        if isolation is not None and str(isolation).upper() not in ISOLATION:
            raise ValueError("isolation must be one of %s, not %r" % (", ".join(ISOLATION), isolation))
        self._pool = pool
        self.deadline = None if deadline is None else time.monotonic() + deadline
        self._idempotent = idempotent
        self._isolation = isolation
        self._number = 0
        pool.budget.request()

    def begin(self):
        """Generator: what the transaction begins with."""
        self._number += 1
        if self._isolation is not None:
            yield links.Statement("SET TRANSACTION ISOLATION LEVEL " + self._isolation.upper())
        if self.deadline is not None:
            _check_deadline(self.deadline)
            left = max(1, int((self.deadline - time.monotonic()) * 1000))
            yield links.Statement("SELECT set_config('statement_timeout', CAST(:ms AS text), true)", {"ms": str(left)})

    def pause(self, error):
        """Seconds to wait before the next attempt, or None if there is to be none."""
        labels = {"service": self._pool.service}
        if isinstance(error, OutcomeUnknown):
            if not self._idempotent:
                return None
        elif not retry.may_repeat(error):
            return None
        seconds = retry.pause(self._number)
        if self._number >= retry.ATTEMPTS or \
                self.deadline is not None and time.monotonic() + seconds >= self.deadline:
            return None
        if not self._pool.budget.take():
            meters.count("dbutil_retries_denied", **labels)
            return None
        meters.count("dbutil_retries", **labels)
        return seconds


def run_transaction(service, function, *args, deadline=None, isolation=None, idempotent=False):
    """Begin, call function(session, *args), commit; and all of it again if it failed in a
    way that lets it succeed: 40001, 40P01, a connection lost before COMMIT was sent.

    An async function gets an AsyncSession and gives a coroutine. function may be called
    several times, so it must not change what it cannot change again; it neither commits
    nor rolls back. deadline: seconds for all of it. isolation: SERIALIZABLE, REPEATABLE
    READ or READ COMMITTED. idempotent: may be repeated even where it may have committed.
    At most 5 attempts, with pauses at random, and retries of a service in this process
    stay within a tenth of its transactions. Gives what function gives. Errors: of the
    last attempt; OutcomeUnknown; DeadlineExceeded.
    """
    from . import pool

    of = pool.get_connection_pool(service)
    attempts = _Attempts(of, deadline, isolation, idempotent)
    if inspect.iscoroutinefunction(function):
        return _run_async(of, attempts, function, args)
    while True:
        try:
            with ended(of.session(), attempts.deadline) as session:
                links.run(session, attempts.begin())
                result = function(session, *args)
            return result
        except Exception as error:
            seconds = attempts.pause(error)
            if seconds is None:
                raise
        time.sleep(seconds)


async def _run_async(of, attempts, function, args):
    while True:
        try:
            async with ended_async(of.async_session(), attempts.deadline) as session:
                await links.run(session, attempts.begin())
                result = await function(session, *args)
            return result
        except Exception as error:
            seconds = attempts.pause(error)
            if seconds is None:
                raise
        await asyncio.sleep(seconds)
