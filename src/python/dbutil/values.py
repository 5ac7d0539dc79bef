"""Python's values as JSON that the server reads as any type of column.

The server reads a JSON string by the input function of the column's type, so
everything that JSON has no form for goes as the text that PostgreSQL would take,
without a digit lost.
"""

import datetime
import decimal
import enum
import ipaddress
import json
import math
import uuid


def _interval(value):
    return "%d days %d.%06d seconds" % (value.days, value.seconds, value.microseconds)


def plain(value):
    """value in terms of what json knows; TypeError for what has no form."""
    if value is None or isinstance(value, (bool, int, str)) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _interval(value)
    if isinstance(value, (decimal.Decimal, uuid.UUID, ipaddress.IPv4Address, ipaddress.IPv6Address,
                          ipaddress.IPv4Network, ipaddress.IPv6Network, ipaddress.IPv4Interface,
                          ipaddress.IPv6Interface)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    raise TypeError("a value of type %s has no form in SQL here: pass what str() makes of it, "
                    "if the server reads that" % type(value).__name__)


def dumps(value):
    """value as a JSON text. ValueError for a NUL character, which the server has none of."""
    text = json.dumps(plain(value), allow_nan=False, separators=(",", ":"))
    if "\\u0000" in text and "\x00" in _strings(value):
        raise ValueError("a string has a NUL character, which PostgreSQL cannot store")
    return text


def _strings(value):
    """All strings in value, as one."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(_strings(part) for item in value.items() for part in item)
    if isinstance(value, (list, tuple, set, frozenset)):
        return "".join(map(_strings, value))
    return ""


def loads(text):
    return None if text is None else json.loads(text)
