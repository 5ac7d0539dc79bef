"""A service's circuit breaker: when it may try to connect, and how often at the same time.

Closed until an attempt to connect fails. Open: one attempt at a time, each after a
random pause of up to 50, 100, 200 ... ms, from 1 s on of 0.75 to 1 s. The first
success lets 1, 2, 4 ... connect at the same time, then it is closed again. The
rules are libdbpool's (src/client/breaker.c): errors of statements never count,
failures of attempts that began together count once, a success always counts, and a
prober that does not come back is given up after its lease.
"""

import random
import threading
import time

CLOSED, OPEN, RAMP = "closed", "open", "ramp"
REFUSED = ("28", "3D000")
TRANSIENT = ("the database system is", "too many clients", "too many connections",
             "remaining connection slots", "terminating connection")


def is_refusal(code, message):
    """Wrong password, no such role or database: what no repetition mends.

    psycopg2 tells no SQLSTATE of a failed connect; there it is what the server
    itself refused (FATAL) and what is not known to pass. A server that speaks
    another language than English is taken to be away.
    """
    if code is not None:
        return code.startswith(REFUSED[0]) or code == REFUSED[1]
    return "FATAL:" in message and not any(text in message for text in TRANSIENT)


def is_full(code, message):
    """53300: that is no outage."""
    if code is not None:
        return code == "53300"
    return "FATAL:" in message and any(text in message for text in TRANSIENT[1:4])


def backoff(failures, refused, chance=random.random):
    """Seconds to wait after so many failures before this one."""
    most = 5.0 if refused else 1.0
    first = 1.0 if refused else 0.05
    ceiling = min(most, first * 2 ** min(failures, 10))
    floor = ceiling / 2 if refused else 0.75 * ceiling if ceiling == most else 0.0
    return floor + chance() * (ceiling - floor)


class Unavailable(ConnectionError):
    """No connection could be made in time; __cause__ is the last error that told why.
    Nothing was sent."""


class Breaker:
    """Used from any thread; the lock is held for a few comparisons. clock: for tests."""

    def __init__(self, lease, limit, clock=time.monotonic):
        self._limit = limit         # attempts at the same time from which on it is closed
        self._lock = threading.Lock()
        self._lease = lease         # seconds after which an attempt is given up
        self._clock = clock
        self.state = CLOSED
        self.opened = 0             # how often
        self.opened_at = None
        self.last_error = None
        self._failures = 0
        self._allowed = 0
        self._next = 0.0
        self._generation = 0
        self._attempts = {}         # those under way: number: when it is given up
        self._number = 0

    def admit(self):
        """(ticket, 0) for an attempt now, else (None, seconds to wait before asking again)."""
        now = self._clock()
        with self._lock:
            if self.state == CLOSED:
                return (self._generation, None), 0.0
            for number in [number for number, end in self._attempts.items() if end <= now]:
                del self._attempts[number]
            if self.state == OPEN and now < self._next:
                return None, self._next - now
            if len(self._attempts) >= (1 if self.state == OPEN else self._allowed):
                return None, 0.02
            self._number += 1
            self._attempts[self._number] = now + self._lease
            return (self._generation, self._number), 0.0

    def succeeded(self, ticket):
        with self._lock:
            self._attempts.pop(ticket[1], None)
            if self.state == CLOSED:
                return
            if self.state == OPEN:
                self._generation += 1
                self.state, self._allowed, self._failures, self.opened_at = RAMP, 1, 0, None
            self._allowed *= 2
            if self._allowed >= self._limit:
                self.state, self.last_error = CLOSED, None

    def failed(self, ticket, error, refused=False):
        now = self._clock()
        with self._lock:
            self._attempts.pop(ticket[1], None)
            self.last_error = error
            if ticket[0] != self._generation:
                return
            self._generation += 1
            if self.state != OPEN:
                self.state, self.opened_at, self._failures = OPEN, now, 0
                self.opened += 1
            self._next = now + backoff(self._failures, refused)
            self._failures += 1

    def left(self, ticket):
        """An attempt that ended without saying anything about the server."""
        with self._lock:
            self._attempts.pop(ticket[1], None)

    def outage(self):
        """Seconds that it has been open, 0 if it is not."""
        with self._lock:
            return 0.0 if self.opened_at is None else self._clock() - self.opened_at


def attempts(breaker, timeout, fail_fast_after, classify, clock=time.monotonic):
    """Generator: the attempts of one connect. It yields ("wait", seconds) or ("try", None);
    after a try it is sent None for a success or the error. Raises Unavailable at
    the deadline, the error itself if it is a refusal.

    classify(error): "refused", "full", "away", or None for what is no matter of
    connecting.
    """
    deadline = clock() + timeout
    last = None
    while True:
        ticket, wait = breaker.admit()
        if ticket is None:
            outage = breaker.outage()
            if clock() + wait >= deadline or fail_fast_after and outage >= fail_fast_after:
                raise Unavailable("the server cannot be reached: %s" % (last or breaker.last_error)) \
                    from (last or breaker.last_error)
            yield "wait", wait
            continue
        try:
            error = yield "try", None
        except BaseException:       # cancelled
            breaker.left(ticket)
            raise
        if error is None:
            breaker.succeeded(ticket)
            return
        kind = classify(error)
        if kind in ("away", "refused"):
            breaker.failed(ticket, error, kind == "refused")
        else:
            breaker.left(ticket)
        if kind in ("refused", None):
            raise error
        last = error
        wait = backoff(3, False) if kind == "full" else 0.0
        if clock() + wait >= deadline:
            raise Unavailable("the server cannot be reached: %s" % error) from error
        if wait:
            yield "wait", wait
