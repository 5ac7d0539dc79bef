"""Prepared statements: parsed and planned once in a session, executed many times.

psycopg2 prepares nothing by itself, so PREPARE and EXECUTE are sent; a connection
keeps which it has. asyncpg prepares by its own protocol and keeps them itself.
Behind a pooler in transaction mode a session is another one in each transaction:
there the statement is sent as it is, and the server's plan cache is what helps.
"""

import collections
import contextvars
import functools
import inspect
import itertools
import os
import threading

from sqlalchemy import orm

from . import errors, links, meters, names, settings, tracking

MAX_IN_SESSION = 200        # beyond, the one unused longest is deallocated
_named = contextvars.ContextVar("dbutil_with_prepared_statement", default=None)
_lock = threading.Lock()
_serial = itertools.count(1)    # names are never used again, whatever became of one
_known = {}                 # (service, name): sql


def _know(service, name, sql):
    with _lock:
        _known[service, name] = sql


def _gauges():
    with _lock:
        counts = collections.Counter(service for service, _ in _known)
    for service, count in counts.items():
        yield "dbutil_prepared_statements", {"service": service}, count


meters.add_gauges(_gauges)


def _kept(session):
    """What the session's connection has prepared: {sql: name}; None: it does so itself."""
    if links.is_async(session):
        return None
    sync = links.sync_of(session)
    connection = sync.connection() if isinstance(sync, orm.Session) else sync
    if connection.dialect.driver != "psycopg2":
        return None
    return connection.info.setdefault("dbutil_prepared", collections.OrderedDict())


def _execute(session, sql, params, service):
    """Generator: PREPARE if need be, then EXECUTE."""
    numbered, order = names.numbered(sql)
    names.check(order, params)
    kept = _kept(session)
    pool_settings = settings.settings_of(service)
    if kept is None or pool_settings.pooler:
        return (yield links.Statement(sql, params))
    name = kept.get(sql)
    if name is None:
        while len(kept) >= MAX_IN_SESSION:
            yield links.Statement("DEALLOCATE " + kept.popitem(last=False)[1])
        name = "dbutil_%d" % next(_serial)
        yield links.Statement("PREPARE %s AS %s" % (name, numbered))
        kept[sql] = name
        meters.count("dbutil_prepared_prepares", service=service)
    kept.move_to_end(sql)
    call = "EXECUTE %s" % name
    if order:
        call += "(%s)" % ", ".join(":" + param for param in order)
    try:
        return (yield links.Statement(call, params))
    except Exception as error:
        code = errors.sqlstate(error)
        if code == "26000":         # DISCARD ALL, most likely: of all that there were
            kept.clear()
        elif code == "0A000" and "cached plan" in str(error):
            # DDL changed its columns: prepared anew next time; the old one gives
            # way when its turn comes, as nothing can be done in a failed transaction
            kept["-- " + name] = kept.pop(sql)
        raise


def execute_prepared_statement(session, sql, params=None, service=None, name=None):
    """Execute sql, prepared in the session's connection at its first use there.

    sql has :name for each parameter, params their values. service and name label
    its metrics; in a function under with_prepared_statement they may be left out.
    Gives the result (fetchone, fetchall, scalar), or for an asynchronous session
    an awaitable of it. Errors: ValueError for a parameter too many or too few,
    those of the statement.
    """
    if not isinstance(sql, str):
        raise TypeError("a prepared statement must be a string, not %s" % type(sql).__name__)
    around = _named.get() or (None, None)
    service = service or around[0]
    name = name or around[1]
    if service is None or name is None:
        raise TypeError("a prepared statement needs a service and a name, here or by with_prepared_statement")
    settings.check_service(service)
    _know(service, name, sql)

    def work():
        with tracking.Measured("dbutil_prepared", service=service, name=name):
            return (yield from _execute(session, sql, dict(params or {}), service))
    return links.run(session, work())


def with_prepared_statement(service, name):
    """Decorate a function, plain or async, that executes a prepared statement: gives
    execute_prepared_statement() in it the service and the name."""
    settings.check_service(service)

    def decorate(function):
        if inspect.iscoroutinefunction(function):
            @functools.wraps(function)
            async def named(*args, **kwargs):
                token = _named.set((service, name))
                try:
                    return await function(*args, **kwargs)
                finally:
                    _named.reset(token)
        else:
            @functools.wraps(function)
            def named(*args, **kwargs):
                token = _named.set((service, name))
                try:
                    return function(*args, **kwargs)
                finally:
                    _named.reset(token)
        return named
    return decorate


def _in_child():
    """After fork(): another thread may have held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_in_child)
