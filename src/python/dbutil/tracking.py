"""Monitoring: times of functions and transactions, plans, health.

What is measured here is what the client waited; the server's own figures for the
same statements are in dbutil.statements and dbutil.transactions.
"""

import contextvars
import functools
import inspect
import time

from . import errors, links, meters, settings, values

NAME_TRANSACTION = "SELECT dbutil.track_transaction(CAST(:service AS text), CAST(:name AS text))"
_block = contextvars.ContextVar("dbutil_track_transaction", default=None)


class TrackedTransaction:
    """What a block under track_transaction() did: outcomes of its transactions, seconds."""

    def __init__(self, service, name, session):
        settings.check_service(service)
        if name is not None and not (isinstance(name, str) and 1 <= len(name.encode()) <= 63):
            raise ValueError("the name of a transaction must be 1 to 63 bytes, not %r" % (name,))
        self.service = service
        self.name = name
        self.outcomes = []          # committed | aborted, in order
        self.seconds = None
        self._session = session
        self._start = None
        self._token = None

    def _name_it(self):
        yield links.Statement(NAME_TRANSACTION, {"service": self.service, "name": self.name})

    def _begin(self):
        self._token = _block.set(self)
        self._start = time.monotonic()

    def _end(self, error):
        _block.reset(self._token)
        self.seconds = time.monotonic() - self._start
        labels = {"service": self.service, "name": self.name or ""}
        meters.observe("dbutil_transaction_time", self.seconds, **labels)
        for outcome in self.outcomes or ["aborted" if error is not None else "open"]:
            meters.count("dbutil_transactions", outcome=outcome, **labels)

    def __enter__(self):
        if self._session is not None and links.is_async(self._session):
            raise TypeError("write `async with` for an asynchronous session")
        self._begin()
        if self._session is not None and self.name is not None:
            try:
                links.run(self._session, self._name_it())
            except BaseException as error:
                self._end(error)
                raise
        return self

    def __exit__(self, kind, error, trace):
        self._end(error)

    async def __aenter__(self):
        self._begin()
        if self._session is not None and self.name is not None:
            try:
                await links.run(self._session, self._name_it())
            except BaseException as error:
                self._end(error)
                raise
        return self

    async def __aexit__(self, kind, error, trace):
        self._end(error)


def track_transaction(service, name=None, session=None):
    """Measure the block, for `with` and `async with`: its time and how transactions in it ended.

    Transactions of this package's sessions that begin in the block get the name
    in dbutil.transactions and dbutil.active_transactions (one more round trip, and
    it needs preload); one that is open already does if its session is given. What
    neither committed nor rolled back in the block is counted as open. It only
    watches: commits and rollbacks are the session's.
    """
    return TrackedTransaction(service, name, session)


def transaction_name():
    """The name for a transaction that begins now, or None."""
    block = _block.get()
    return block.name if block is not None else None


def transaction_ended(outcome):
    block = _block.get()
    if block is not None:
        block.outcomes.append(outcome)


class Measured:
    """A with block whose time and error are counted under a metric."""

    def __init__(self, metric, /, **labels):
        self._metric = metric
        self._labels = labels

    def __enter__(self):
        self._start = time.monotonic()
        return self

    def __exit__(self, kind, error, trace):
        meters.observe(self._metric + "_time", time.monotonic() - self._start, **self._labels)
        if error is not None and not isinstance(error, GeneratorExit):
            meters.count(self._metric + "_errors", code=errors.label(error), **self._labels)


def track_query_performance(operation, table, service):
    """Decorate a function, plain or async: count its calls, errors and time.

    See dbutil_query_time and dbutil_query_errors in metrics(), labelled with
    service, operation and table.
    """
    settings.check_service(service)
    labels = {"service": service, "operation": operation, "table": table}

    def decorate(function):
        if inspect.iscoroutinefunction(function):
            @functools.wraps(function)
            async def tracked(*args, **kwargs):
                with Measured("dbutil_query", **labels):
                    return await function(*args, **kwargs)
        else:
            @functools.wraps(function)
            def tracked(*args, **kwargs):
                with Measured("dbutil_query", **labels):
                    return function(*args, **kwargs)
        return tracked
    return decorate


def analyze_query(session, sql, params=None, service=None, run=False, timeout=30.0):
    """Plan and findings of one statement, as dbutil.analyze_query() gives them: a
    dictionary {query, plan, totals, findings}.

    Only planned, unless run is true: then executed for at most timeout seconds and
    rolled back. params: by name, or a sequence for $1, $2, ... An asynchronous
    session gives an awaitable. Errors: those of the server's function.
    """
    def work():
        rows = yield links.Statement(
            "SELECT CAST(dbutil.analyze_query(CAST(:query AS text), CAST(CAST(:params AS text) AS jsonb), "
            "run => CAST(:run AS boolean), timeout => CAST(CAST(:timeout AS text) AS interval)) AS text)",
            {"query": sql, "params": None if params is None else values.dumps(params),
             "run": bool(run), "timeout": "%f seconds" % timeout})
        return values.loads(rows.scalar())
    return links.run(session, work())


def check_database_health(session, service=None, level="full"):
    """The verdict of dbutil.check_database_health(): a dictionary {status, score, ...}.

    level: quick | full. An asynchronous session gives an awaitable. Errors: those of
    the server's function.
    """
    def work():
        rows = yield links.Statement(
            "SELECT CAST(dbutil.check_database_health(CAST(:service AS text), CAST(:level AS text)) AS text)",
            {"service": service, "level": level})
        return values.loads(rows.scalar())
    return links.run(session, work())
