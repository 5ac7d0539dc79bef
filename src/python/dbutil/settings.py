"""Settings of a service's pools: where they come from and what they may be.

configure(...) gives defaults for all services, configure("orders", ...) those of
one; what is not given comes from the environment (DBUTIL_DSN, else libpq's own
PGHOST and so on) or from the defaults here, which are libdbpool's. Times are in
seconds, as in the drivers below.
"""

import dataclasses
import difflib
import os
import threading

import psycopg2.extensions

from . import cpus

# libdbpool's: a peer that is gone is noticed within about a minute
NETWORK_DEFAULTS = {
    "tcp_user_timeout": "15000",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a pool goes by.

    dsn                 a libpq connection string or URI; "": DBUTIL_DSN, else PG* variables
    max_connections     of each of a service's pools; None: 2 x usable CPUs + 1, at most 64
    acquire_timeout     seconds to wait for a connection
    connect_timeout     seconds for one attempt to connect
    statement_timeout   seconds that a statement may take on the server; 0: no limit
    lifetime            seconds after which a connection is replaced, less up to 20 %
                        chosen at random for each; 0: never
    validate_after_idle seconds of idling after which a connection's socket is looked
                        at before it is lent; 0: always
    fail_fast_after     seconds that the server could not be reached after which who needs a
                        new connection is told at once; 0: never
    pooler              True behind a pooler in transaction mode: nothing is kept in a
                        session, so the service is told by application_name alone, no
                        timeout is set, and statements are prepared for one transaction
    """

    dsn: str = ""
    max_connections: int = None
    acquire_timeout: float = 5.0
    connect_timeout: float = 5.0
    statement_timeout: float = 300.0
    lifetime: float = 1800.0
    validate_after_idle: float = 0.5
    fail_fast_after: float = 30.0
    pooler: bool = False

    def __post_init__(self):
        if not isinstance(self.dsn, str):
            raise TypeError("dsn must be a string, not %s" % type(self.dsn).__name__)
        if self.max_connections is not None and (
                not isinstance(self.max_connections, int) or isinstance(self.max_connections, bool)
                or not 1 <= self.max_connections <= 10000):
            raise ValueError("max_connections must be None or 1 to 10000, not %r" % (self.max_connections,))
        for name in ("acquire_timeout", "connect_timeout", "statement_timeout", "lifetime",
                     "validate_after_idle", "fail_fast_after"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
                raise ValueError("%s must be seconds, 0 or more, not %r" % (name, value))
        if self.connect_timeout == 0:
            raise ValueError("connect_timeout must be more than 0 seconds")
        if not isinstance(self.pooler, bool):
            raise TypeError("pooler must be True or False, not %r" % (self.pooler,))

    def size(self):
        return self.max_connections or cpus.pool_size()

    def server_settings(self, service):
        """The settings that each session of the service starts with."""
        if self.pooler:
            return {}
        settings = {"dbutil.service": service}
        if self.statement_timeout:
            settings["statement_timeout"] = str(max(1, round(self.statement_timeout * 1000)))
        return settings

    def conninfo(self, service):
        """The connection's parameters by libpq's names."""
        dsn = self.dsn or os.environ.get("DBUTIL_DSN", "")
        try:
            given = psycopg2.extensions.parse_dsn(dsn)
        except psycopg2.ProgrammingError as error:
            raise ValueError("dsn cannot be read: %s" % str(error).strip()) from None
        info = dict(NETWORK_DEFAULTS)
        info["connect_timeout"] = str(max(2, round(self.connect_timeout)))    # libpq takes 1 as 2
        if not os.environ.get("PGAPPNAME"):
            info["application_name"] = service
        info.update(given)
        return info


NAMES = [field.name for field in dataclasses.fields(Settings)]
_lock = threading.Lock()
_given = {}         # service, or None for all: what configure() was told


def configure(service=None, **settings):
    """Give settings for one service, or for all that have none of their own.

    They hold for pools made from now on. Raises TypeError for an unknown name,
    ValueError for a value that cannot be.
    """
    for name in settings:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            raise TypeError("there is no setting %r%s" % (
                name, ": did you mean %r?" % near[0] if near else "; there are " + ", ".join(NAMES)))
    with _lock:
        if service is not None:
            check_service(service)
        merged = {**_given.get(service, {}), **settings}
        Settings(**merged)
        _given[service] = merged


def settings_of(service):
    """The settings that hold for a service now."""
    with _lock:
        return Settings(**{**_given.get(None, {}), **_given.get(service, {})})


def check_service(service):
    """A service's name as the server can keep it: 1 to 63 bytes of printable ASCII."""
    if not isinstance(service, str):
        raise TypeError("the name of a service must be a string, not %s" % type(service).__name__)
    if not 1 <= len(service) <= 63 or not service.isascii() or not service.isprintable():
        raise ValueError("the name of a service must be 1 to 63 printable ASCII characters, not %r" % service)


def _in_child():
    """After fork(): another thread may have held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_in_child)
