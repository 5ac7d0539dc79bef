"""What is measured and looked at in the pools of SQLAlchemy, sync and async."""

import asyncio
import contextlib
import random
import select
import threading
import time

from sqlalchemy import event, exc
from sqlalchemy.util import await_only

from . import breaker, errors, meters


class PoolMetrics:
    """Mixed into a pool of SQLAlchemy: how long callers wait for a connection."""

    dbutil_service = None

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._dbutil_lock = threading.Lock()
        self.dbutil_waiting = 0

    def _dbutil_wait(self, by):
        with self._dbutil_lock:
            self.dbutil_waiting += by

    def connect(self):
        start = time.monotonic()
        self._dbutil_wait(1)
        try:
            fairy = super().connect()
        except exc.TimeoutError:
            meters.count("db_client_connection_timeouts", pool_name=self.dbutil_service)
            raise
        finally:
            self._dbutil_wait(-1)
        meters.observe("db_client_connection_wait_time", time.monotonic() - start,
                        pool_name=self.dbutil_service)
        return fairy


def _socket_is_quiet(connection):
    """Has the server said nothing while the connection idled? It does before it goes.

    A look at the socket, no round trip. psycopg2 alone: asyncpg's event loop
    reads at once, so there is_closed() knows.
    """
    fileno = getattr(connection, "fileno", None)
    if fileno is None:
        driver = getattr(connection, "_connection", None)
        return driver is None or not driver.is_closed()
    poll = select.poll()
    poll.register(fileno(), select.POLLIN)
    if not poll.poll(0):
        return True
    try:        # a notification or a parameter's change is no farewell
        connection.poll()
    except Exception:
        return False
    return not connection.closed and not poll.poll(0)


def classify(error):
    """What a failed connect says about the server; see breaker.attempts()."""
    code, message = errors.sqlstate(error), str(error)
    if breaker.is_refusal(code, message):
        return "refused"
    if breaker.is_full(code, message):
        return "full"
    return "away" if isinstance(error, (OSError, asyncio.TimeoutError, TimeoutError)) or code is not None \
        or type(error).__module__.startswith(("psycopg2", "asyncpg")) else None


def attempts(control, config):
    """The attempts of one connect, within acquire_timeout."""
    return breaker.attempts(control, config.acquire_timeout, config.fail_fast_after, classify)


def succeeded(work):
    """Tell the attempts that the last one succeeded, which ends them."""
    with contextlib.suppress(StopIteration):
        work.send(None)


def watch(engine, service, config, control, asynchronous=False):
    """Listen to an engine's pool: the breaker, metrics, recycling with jitter, dead sockets."""
    engine.pool.dbutil_service = service

    @event.listens_for(engine, "do_connect")
    def do_connect(dialect, record, args, params):
        work = attempts(control, config)
        step, seconds = next(work)
        while True:
            if step == "wait":
                if asynchronous:
                    await_only(asyncio.sleep(seconds))
                else:
                    time.sleep(seconds)
                step, seconds = next(work)
                continue
            start = time.monotonic()
            try:
                connection = dialect.connect(*args, **params)
            except Exception as error:
                meters.count("db_client_connection_create_errors", pool_name=service, code=errors.label(error))
                step, seconds = work.send(error)
                continue
            meters.observe("db_client_connection_create_time", time.monotonic() - start, pool_name=service)
            succeeded(work)
            return connection

    @event.listens_for(engine, "handle_error")
    def handle_error(context):
        # a transaction that goes on after this will not commit; see sessions.py
        if context.connection is not None and not context.is_disconnect and not context.connection.closed \
                and not context.connection.invalidated:
            context.connection.info["dbutil_failed"] = True

    @event.listens_for(engine, "connect")
    def connect(connection, record):
        # so that connections made together are not replaced together
        record.starttime -= random.uniform(0, 0.2) * config.lifetime

    @event.listens_for(engine, "checkout")
    def checkout(connection, record, fairy):
        idle_since = record.info.pop("dbutil_idle_since", None)
        if idle_since is not None and time.monotonic() - idle_since >= config.validate_after_idle \
                and not _socket_is_quiet(connection):
            raise exc.DisconnectionError("the server closed the connection while it idled")
        record.info["dbutil_lent_at"] = time.monotonic()

    @event.listens_for(engine, "checkin")
    def checkin(connection, record):
        now = time.monotonic()
        lent_at = record.info.pop("dbutil_lent_at", None)
        if lent_at is not None:
            meters.observe("db_client_connection_use_time", now - lent_at, pool_name=service)
        record.info["dbutil_idle_since"] = now

    @event.listens_for(engine, "close")
    def close(connection, record):
        meters.count("db_client_connection_closed", pool_name=service)
