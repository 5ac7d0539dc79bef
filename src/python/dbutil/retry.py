"""When a transaction may be done again: by SQLSTATE, with a pause, within a budget.

The rules are libdbpool's (src/client/retry.c, dbpool.h). Every transaction pays in
a part of a retry and every retry takes a whole one, so that retries never add much
to an overload: ten transactions pay for one. Five are lent at the start.
"""

import random
import threading

from sqlalchemy import exc

from . import errors

ATTEMPTS = 5            # how often one transaction may begin
PERCENT = 10            # retries for 100 transactions
LENT = 500
CONFLICTS = ("40001", "40P01")


class Budget:
    """Of all transactions of a service in this process. Counts in hundredths of a retry."""

    def __init__(self, size, percent=PERCENT):
        self._lock = threading.Lock()
        self._percent = percent
        self._most = max(2 * size * 100, LENT)
        self._balance = LENT if percent else 0
        self._owed = self._balance

    def request(self):
        with self._lock:
            back = min(self._percent, self._owed)
            self._owed -= back
            self._balance = min(self._balance + self._percent - back, self._most)

    def take(self):
        """May one retry be made? It is paid for then."""
        with self._lock:
            if self._balance < 100:
                return False
            self._balance -= 100
            return True


def pause(attempts, chance=random.random):
    """Seconds before the next attempt: at random up to 5, 10, 20 ... 1000 ms."""
    return chance() * min(1.0, 0.005 * 2 ** min(attempts - 1, 20))


def is_lost(error):
    """Does the error say that the connection is gone (and not that none could be made)?"""
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    code = errors.sqlstate(error)
    if code is not None:
        return code.startswith("08") or code in ("57P01", "57P02", "57P05")
    return errors.is_closed(error)


def may_repeat(error):
    """May the transaction, which is rolled back, succeed if it is done again?"""
    code = errors.sqlstate(error)
    if code in CONFLICTS:
        return True
    if code == "0A000":         # a plan of before a DDL: prepared anew the next time
        return "cached plan" in str(error)
    return is_lost(error)
