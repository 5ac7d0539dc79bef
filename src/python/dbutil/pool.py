"""A service's pools: SQLAlchemy's own, one per process, measured.

get_connection_pool() makes nothing but the object: a connection is made when it
is needed. After fork() a child begins with pools of its own; the parent's sockets
are left alone in it.
"""

import contextlib
import os
import threading

import sqlalchemy
from sqlalchemy.pool import QueuePool

from . import breaker, meters, retry, sessions, settings, watch

_lock = threading.Lock()
_pools = {}


class MeasuredPool(watch.PoolMetrics, QueuePool):
    pass


class ServicePool:
    """The connections of one service in this process; see get_connection_pool()."""

    def __init__(self, service):
        self.service = service
        self.settings = settings.settings_of(service)
        self._conninfo = self.settings.conninfo(service)
        self.breaker = breaker.Breaker(2 * self.settings.connect_timeout, self.settings.size())
        self.budget = retry.Budget(self.settings.size())
        self._lock = threading.Lock()
        self._engine = None
        self._async = None
        self._closed = False

    def __repr__(self):
        return "<ServicePool %s, at most %d connections>" % (self.service, self.settings.size())

    def _check_open(self):
        if self._closed:
            raise RuntimeError("the pool of service %s is closed" % self.service)

    @property
    def engine(self):
        """The engine of SQLAlchemy over psycopg2, made at its first use."""
        with self._lock:
            self._check_open()
            if self._engine is None:
                info = dict(self._conninfo)
                words = [info["options"]] if info.get("options") else []
                for name, value in self.settings.server_settings(self.service).items():
                    words.append("-c %s=%s" % (name, value.replace("\\", "\\\\").replace(" ", "\\ ")))
                if words:
                    info["options"] = " ".join(words)
                self._engine = sqlalchemy.create_engine(
                    "postgresql+psycopg2://", connect_args=info, future=True, poolclass=MeasuredPool,
                    pool_size=self.settings.size(), max_overflow=0,
                    pool_timeout=self.settings.acquire_timeout,
                    pool_recycle=self.settings.lifetime or -1)
                watch.watch(self._engine, self.service, self.settings, self.breaker)
            return self._engine

    def _async_half(self):
        with self._lock:
            self._check_open()
            if self._async is None:
                from . import async_pool        # only who uses it needs asyncpg
                self._async = async_pool.AsyncHalf(self.service, self.settings, self.breaker)
            return self._async

    @property
    def async_engine(self):
        """The AsyncEngine of SQLAlchemy over asyncpg, of the running event loop."""
        return self._async_half().here().engine()

    def async_session(self):
        """An AsyncSession, not begun; the caller commits and closes it."""
        return self._async_half().session()

    def asyncpg_connection(self):
        """`async with` a connection of asyncpg itself, from asyncpg's own pool."""
        return self._async_half().connection()

    def session(self):
        """A session of SQLAlchemy, not begun; the caller commits and closes it."""
        return sessions.new_session(self.engine, self.service)

    @contextlib.contextmanager
    def connection(self):
        """A connection of psycopg2 itself; an open transaction is rolled back at the end."""
        fairy = self.engine.raw_connection()
        try:
            yield getattr(fairy, "driver_connection", None) or fairy.connection
        finally:
            fairy.close()

    def stats(self):
        """Connections now, in all its pools: {max, total, idle, leased, waiting}; max is of each."""
        with self._lock:
            pools, other = [self._engine.pool] if self._engine is not None else [], self._async
        entries = [(pool.checkedin(), pool.checkedout(), pool.dbutil_waiting) for pool in pools]
        entries += other.stats() if other is not None else []
        idle, leased, waiting = (sum(column) for column in zip(*entries)) if entries else (0, 0, 0)
        return {"max": self.settings.size(), "total": idle + leased, "idle": idle, "leased": leased,
                "waiting": waiting}

    def recycle(self):
        """Replace all connections of psycopg2: idle ones now, lent ones when they come back."""
        with self._lock:
            self._check_open()
            engine = self._engine
        if engine is not None:
            engine.dispose()
            engine.pool.dbutil_service = self.service

    def close(self):
        """Close the idle connections, lent ones when they come back; the next
        get_connection_pool() makes a new pool. Those of a running event loop need aclose()."""
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()
        with _lock:
            if _pools.get(self.service) is self:
                del _pools[self.service]

    async def aclose(self):
        """As close(), the connections of the running event loop with it."""
        with self._lock:
            other, self._async = self._async, None
        if other is not None:
            await other.close()
        self.close()

    def _abandon(self):
        """In a forked child: let go of the parent's connections without a word to the server."""
        self._closed = True
        if self._engine is not None:
            self._engine.dispose(close=False)


def get_connection_pool(service):
    """The pool of a service in this process, made at the first call.

    Its settings are those of configure(). Connections carry the service's name
    (application_name and dbutil.service), so that the server attributes what runs
    on them. Errors: TypeError, ValueError for a name that cannot be one.
    """
    settings.check_service(service)
    with _lock:
        pool = _pools.get(service)
        if pool is None:
            pool = _pools[service] = ServicePool(service)
        return pool


def close_all_pools():
    """Close the pools of all services, as at the end of a program."""
    with _lock:
        pools = list(_pools.values())
    for pool in pools:
        pool.close()


async def aclose_all_pools():
    """As close_all_pools(), the connections of the running event loop with it."""
    with _lock:
        pools = list(_pools.values())
    for pool in pools:
        await pool.aclose()


def _gauges():
    with _lock:
        pools = list(_pools.values())
    for pool in pools:
        stats = pool.stats()
        for state, key in (("idle", "idle"), ("used", "leased")):
            yield "db_client_connection_count", {"pool_name": pool.service, "state": state}, stats[key]
        yield "db_client_connection_max", {"pool_name": pool.service}, stats["max"]
        for state in (breaker.CLOSED, breaker.OPEN, breaker.RAMP):
            yield "dbutil_breaker_state", {"service": pool.service, "state": state}, int(pool.breaker.state == state)
        yield "db_client_connection_pending_requests", {"pool_name": pool.service}, stats["waiting"]


def _in_child():
    global _lock
    _lock = threading.Lock()
    meters.after_fork()
    for pool in _pools.values():
        pool._abandon()
    _abandoned.extend(_pools.values())      # no finalizer may reach the parent's sockets
    _pools.clear()


_abandoned = []
os.register_at_fork(after_in_child=_in_child)
meters.add_gauges(_gauges)
