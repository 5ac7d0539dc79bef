"""Bulk writes: many rows in one statement, by the server's dbutil.bulk_* functions.

Rows are dictionaries; they go as JSON, slice by slice, in the session's own
transaction. What a row may hold is in values.py.
"""

import collections
import itertools

import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import Enum, TypeDecorator

from . import links, meters, settings, tracking, values

SLICE = 10000       # rows that are sent at a time

_DIALECT = postgresql.dialect()
_OPTIONS = {        # the server's parameters that may be given by name, and their types
    "insert": {"on_conflict": "text", "conflict_columns": "name[]", "conflict_constraint": "name",
               "update_columns": "name[]", "duplicates": "text", "on_error": "text",
               "max_errors": "bigint", "chunk_rows": "integer", "reject_to": "regclass"},
    "update": {"set_columns": "name[]", "nulls": "text", "skip_unchanged": "boolean", "missing": "text",
               "locked": "text", "on_error": "text", "max_errors": "bigint", "chunk_rows": "integer",
               "reject_to": "regclass"},
    "delete": {"missing": "text", "locked": "text", "on_error": "text", "max_errors": "bigint",
               "chunk_rows": "integer", "reject_to": "regclass"},
}
_COUNTERS = ("rows_in", "inserted", "updated", "unchanged", "deleted", "conflicts", "missing", "suppressed",
             "rejected", "chunks")

BulkResult = collections.namedtuple("BulkResult", _COUNTERS + ("jobs",))
BulkResult.__doc__ = """What a bulk call did, in rows given (as dbutil.bulk_result); jobs: those
in dbutil.bulk_rejects that rejected rows are told under."""


class Target:
    """The table: its name as SQL, and what of a row SQLAlchemy would convert."""

    def __init__(self, table):
        mapper = None
        if isinstance(table, type):
            mapper = sqlalchemy.inspect(table, raiseerr=False)
            if mapper is None:
                raise TypeError("%s is no mapped class" % table.__name__)
            table = mapper.local_table
        if isinstance(table, str):
            self.name, self._columns, self._table = table, None, None
            return
        if not isinstance(table, sqlalchemy.Table):
            raise TypeError("a table must be a Table, a mapped class or a name, not %s" % type(table).__name__)
        self._table = table
        self.name = _DIALECT.identifier_preparer.format_table(table)
        self._columns = {column.key: column for column in table.columns}
        self._columns.update({column.name: column for column in table.columns})
        if mapper is not None:
            for attribute in mapper.column_attrs:
                self._columns[attribute.key] = attribute.columns[0]

    def column(self, key):
        """The name in the database of what a row calls key."""
        if self._columns is None:
            return key
        if key not in self._columns:
            raise ValueError("table %s has no column %r" % (self.name, key))
        return self._columns[key].name

    def _value(self, key, value):
        column = self._columns[key] if self._columns is not None else None
        if column is not None and value is not None:
            if isinstance(column.type, TypeDecorator) and \
                    type(column.type).process_bind_param is not TypeDecorator.process_bind_param:
                return column.type.process_bind_param(value, _DIALECT)
            if isinstance(column.type, Enum):
                return column.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)(value)
        if isinstance(value, sqlalchemy.sql.ClauseElement):
            raise TypeError("column %r: a bulk call takes values, no SQL expressions" % key)
        return value

    def _defaults(self, op):
        """Columns that get a value of Python's when a row has none, as SQLAlchemy would do."""
        for column in self._table.columns if self._table is not None else ():
            default = column.default if op == "insert" else column.onupdate if op == "update" else None
            if default is None or getattr(default, "is_sequence", False):
                continue
            yield column.name, default

    def rows(self, rows, op):
        """The rows by the database's names, values converted, defaults applied."""
        defaults = list(self._defaults(op))
        for number, row in enumerate(rows, 1):
            try:
                items = row.items()
            except AttributeError:
                raise TypeError("row %d must be a dictionary, not %s" % (number, type(row).__name__)) from None
            out = {self.column(key): self._value(key, value) for key, value in items}
            for name, default in defaults:
                if name in out:
                    continue
                if not (default.is_scalar or default.is_callable):
                    raise ValueError("column %s has an SQL expression as its default, which a bulk call cannot "
                                     "apply: make it the column's server_default, or give the value" % name)
                out[name] = self._value(name, default.arg(None) if default.is_callable else default.arg)
            yield out


def _key_columns(target, key):
    keys = [key] if isinstance(key, str) else list(key or ())
    if not keys or not all(isinstance(name, str) for name in keys):
        raise TypeError("key must be the name of a column or a list of names, not %r" % (key,))
    return [target.column(name) for name in keys]


def _array(columns):
    """A list of names as text that the server reads as name[]."""
    return "{%s}" % ",".join('"%s"' % name.replace("\\", "\\\\").replace('"', '\\"') for name in columns)


def _statement(op, options):
    """The call of the server's function, with :target, :rows, :key and the options' names."""
    call = "dbutil.bulk_%s(CAST(CAST(:target AS text) AS regclass), CAST(:rows AS text)" % op
    for name, kind in options.items():
        call += ", %s => CAST(CAST(:%s AS text) AS %s)" % (name, name, kind)
    return "SELECT %s, job FROM %s)" % (", ".join(_COUNTERS), call)


def _check_options(op, options):
    for name, value in options.items():
        if name not in _OPTIONS[op]:
            raise TypeError("bulk_%s() has no option %r; there are %s" % (op, name, ", ".join(_OPTIONS[op])))
    return {name: value for name, value in options.items() if value is not None}


def _write(op, target, rows, service, key, options):
    """Generator: one statement for each slice of rows; the sums."""
    given = _check_options(op, options)
    kinds = {name: _OPTIONS[op][name] for name in given}
    params = {name: _array([target.column(column) for column in value]) if kinds[name] == "name[]" else str(value)
              for name, value in given.items()}
    if key is not None:
        kinds["key"], params["key"] = "name[]", _array(key)
    sql = _statement(op, kinds)
    sums, jobs = [0] * len(_COUNTERS), []
    rows = iter(rows)
    with tracking.Measured("dbutil_bulk", service=service, operation=op, table=target.name):
        while True:
            part = list(itertools.islice(rows, SLICE))
            if not part:
                break
            result = yield links.Statement(sql, {**params, "target": target.name, "rows": values.dumps(part)})
            row = tuple(result.fetchone())
            sums = [total + more for total, more in zip(sums, row)]
            if row[-1] is not None:
                jobs.append(row[-1])
            meters.count("dbutil_bulk_rows", by=len(part), service=service, operation=op, table=target.name)
    return BulkResult(*sums, jobs)


def bulk_insert(session, table, rows, service, **options):
    """Insert rows, dictionaries by column, into a Table, a mapped class or a table's name.

    A column that a row has not gets the default of its Column in Python, else of
    the database. options: those of dbutil.bulk_insert(), such as on_conflict="update".
    Gives a BulkResult; for an asynchronous session an awaitable of it. All in the
    session's transaction; each 10,000 rows are one call, and what the server judges
    within a call (duplicates) is judged within these. Errors: TypeError, ValueError
    before anything is sent for that slice, those of the server's function.
    """
    settings.check_service(service)
    target = Target(table)
    return links.run(session, _write("insert", target, target.rows(rows, "insert"), service, None, options))


def bulk_update(session, table, rows, key, service, **options):
    """Update the rows found by key, the name of a column or a list of them, which each
    of the dictionaries has; its other columns are set.

    Otherwise as bulk_insert(), with the options of dbutil.bulk_update().
    """
    settings.check_service(service)
    target = Target(table)
    return links.run(session, _write("update", target, target.rows(rows, "update"), service,
                                     _key_columns(target, key), options))


def bulk_delete(session, table, keys, key, service, **options):
    """Delete the rows found by key: keys are values, or with a key of several columns
    tuples of them in its order.

    Otherwise as bulk_insert(), with the options of dbutil.bulk_delete().
    """
    settings.check_service(service)
    target = Target(table)
    columns = _key_columns(target, key)

    def rows():
        for number, value in enumerate(keys, 1):
            parts = (value,) if len(columns) == 1 else tuple(value)
            if len(parts) != len(columns):
                raise ValueError("key %d has %d values for %d columns" % (number, len(parts), len(columns)))
            yield dict(zip(columns, parts))
    return links.run(session, _write("delete", target, rows(), service, columns, options))
