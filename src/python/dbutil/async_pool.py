"""A service's pools for asyncio: SQLAlchemy over asyncpg, and asyncpg itself.

Connections belong to an event loop, so each loop has pools of its own. pool.py
has what both halves share.
"""

import asyncio
import contextlib
import os
import shlex
import socket
import time
import urllib.parse
import uuid
import weakref

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from . import errors, meters, sessions, watch

# libpq's names that asyncpg reads from a DSN
_SAME = ("host", "port", "user", "password", "dbname", "passfile", "sslmode", "sslcert", "sslkey",
         "sslrootcert", "sslcrl")
# and those that are done here
_OURS = ("application_name", "options", "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval",
         "keepalives_count", "tcp_user_timeout")


class AsyncMeasuredPool(watch.PoolMetrics, AsyncAdaptedQueuePool):
    pass


def _option_settings(options):
    """The settings in libpq's options: -c name=value and --name=value."""
    words, found = shlex.split(options), {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith("-c"):
            word = word[2:]
        elif word.startswith("--"):
            word = word[2:].replace("-", "_")
        else:
            word = ""
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError("options in a dsn for asyncpg may only be -c name=value, not %r" % options)
        found[name] = value
    return found


def _set_socket(transport, info):
    """The keepalives and tcp_user_timeout of libpq, in seconds and milliseconds."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(info.get("keepalives", "1")))
    for name, option in (("keepalives_idle", "TCP_KEEPIDLE"), ("keepalives_interval", "TCP_KEEPINTVL"),
                         ("keepalives_count", "TCP_KEEPCNT"), ("tcp_user_timeout", "TCP_USER_TIMEOUT")):
        if hasattr(socket, option) and int(info[name]) > 0:
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(info[name]))


def connect_args(config, service):
    """The arguments of asyncpg.connect() for a service. ValueError for what it cannot do."""
    info = config.conninfo(service)
    for name in info:
        if name not in _SAME and name not in _OURS:
            raise ValueError("asyncpg does not know %s, which the dsn has" % name)
    settings = _option_settings(info.get("options", ""))
    settings["application_name"] = info.get("application_name") or os.environ["PGAPPNAME"]
    settings.update(config.server_settings(service))

    class Connection(asyncpg.Connection):
        """One whose socket notices a peer that is gone, and whose statements have
        names that no other process gives: behind a pooler they would meet."""

        def __init__(self, protocol, transport, *args, **kwargs):
            super().__init__(protocol, transport, *args, **kwargs)
            _set_socket(transport, info)

        def _get_unique_id(self, prefix):
            if config.pooler:
                return "__asyncpg_%s_%s__" % (prefix, uuid.uuid4().hex)
            return super()._get_unique_id(prefix)

    query = urllib.parse.urlencode([(name, info[name]) for name in _SAME if name in info])
    args = {"dsn": "postgresql://?" + query if query else "postgresql://", "server_settings": settings,
            "timeout": float(info["connect_timeout"]) if "connect_timeout" in info else config.connect_timeout,
            "connection_class": Connection}
    if config.pooler:
        args["statement_cache_size"] = 0
    return args


class LoopPools:
    """A service's pools in one event loop."""

    def __init__(self, service, config, control):
        self._service = service
        self._config = config
        self._control = control         # the service's breaker
        self._engine = None
        self._asyncpg = None
        self._asyncpg_lock = asyncio.Lock()

    def engine(self):
        if self._engine is None:
            args = connect_args(self._config, self._service)
            if self._config.pooler:
                args["prepared_statement_cache_size"] = 0
            self._engine = create_async_engine(
                "postgresql+asyncpg://", connect_args=args, poolclass=AsyncMeasuredPool,
                pool_size=self._config.size(), max_overflow=0, pool_timeout=self._config.acquire_timeout,
                pool_recycle=self._config.lifetime or -1)
            watch.watch(self._engine.sync_engine, self._service, self._config, self._control, True)
        return self._engine

    async def asyncpg(self):
        async with self._asyncpg_lock:
            if self._asyncpg is None:
                self._asyncpg = await asyncpg.create_pool(
                    min_size=0, max_size=self._config.size(),
                    max_inactive_connection_lifetime=self._config.lifetime,
                    **connect_args(self._config, self._service))
            return self._asyncpg

    def stats(self):
        """[(idle, leased, waiting)] of each."""
        out = []
        if self._engine is not None:
            pool = self._engine.sync_engine.pool
            out.append((pool.checkedin(), pool.checkedout(), pool.dbutil_waiting))
        if self._asyncpg is not None:
            idle = self._asyncpg.get_idle_size()
            out.append((idle, self._asyncpg.get_size() - idle, 0))
        return out

    async def close(self):
        engine, self._engine = self._engine, None
        pool, self._asyncpg = self._asyncpg, None
        if engine is not None:
            await engine.dispose()
        if pool is not None:
            await pool.close()


class AsyncHalf:
    """What a ServicePool has for asyncio: pools for each event loop."""

    def __init__(self, service, config, control):
        self._service = service
        self._config = config
        self._control = control         # the service's breaker
        self._loops = weakref.WeakKeyDictionary()

    def here(self):
        """The pools of the running loop. RuntimeError outside one."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = LoopPools(self._service, self._config, self._control)
        return self._loops[loop]

    def session(self):
        session = AsyncSession(bind=self.here().engine(), sync_session_class=sessions.ServiceSession,
                               expire_on_commit=False)
        session.sync_session.info["dbutil_service"] = self._service
        return session

    async def _acquire(self, pool):
        """A connection of asyncpg's pool. Only one that must be made asks the breaker."""
        work = watch.attempts(self._control, self._config)
        step, seconds = "try", None
        if pool.get_idle_size() == 0 and pool.get_size() < pool.get_max_size():
            step, seconds = next(work)
        else:
            work.close()
            work = None
        try:
            while True:
                if step == "wait":
                    await asyncio.sleep(seconds)
                    step, seconds = next(work)
                    continue
                try:
                    connection = await pool.acquire(timeout=self._config.acquire_timeout)
                except asyncio.TimeoutError:
                    meters.count("db_client_connection_timeouts", pool_name=self._service)
                    raise
                except Exception as error:
                    meters.count("db_client_connection_create_errors", pool_name=self._service,
                                 code=errors.label(error))
                    if work is None:
                        raise
                    step, seconds = work.send(error)
                    continue
                if work is not None:
                    watch.succeeded(work)
                return connection
        finally:
            if work is not None:
                work.close()

    @contextlib.asynccontextmanager
    async def connection(self):
        pool = await self.here().asyncpg()
        start = time.monotonic()
        connection = await self._acquire(pool)
        lent = time.monotonic()
        meters.observe("db_client_connection_wait_time", lent - start, pool_name=self._service)
        try:
            yield connection
        finally:
            meters.observe("db_client_connection_use_time", time.monotonic() - lent, pool_name=self._service)
            await pool.release(connection)

    def stats(self):
        return [entry for pools in list(self._loops.values()) for entry in pools.stats()]

    async def close(self):
        pools = self._loops.pop(asyncio.get_running_loop(), None)
        if pools is not None:
            await pools.close()
