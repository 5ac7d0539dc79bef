"""What an exception of a driver says: its SQLSTATE, whichever driver it came from."""


def sqlstate(error):
    """The five characters of the server's error, or None: psycopg2, asyncpg, SQLAlchemy around them."""
    for error in chain(error):
        for name in ("pgcode", "sqlstate"):
            code = getattr(error, name, None)
            if isinstance(code, str) and len(code) == 5:
                return code
    return None


def chain(error):
    """The error and those of the driver that it was made of."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "orig", None) or error.__cause__


def is_closed(error):
    """Does it say that the connection was closed, without an SQLSTATE?"""
    for part in chain(error):
        if isinstance(part, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
            return True
        if type(part).__module__.startswith("asyncpg") and "closed" in str(part):
            return True
        if type(part).__module__.startswith("psycopg2") and "closed" in str(part):
            return True
    return False


def label(error):
    """What an error is counted under."""
    return sqlstate(error) or type(error).__name__
