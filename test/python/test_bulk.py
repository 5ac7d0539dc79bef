"""Bulk writes: types, defaults, options, slices, bad input."""

import datetime
import decimal
import enum
import ipaddress
import unittest
import uuid

import sqlalchemy
from sqlalchemy import Column, orm
from sqlalchemy.dialects import postgresql

import harness
import dbutil
from dbutil import bulk, bulk_delete, bulk_insert, bulk_update, get_sync_db_session

Base = orm.declarative_base()


class Color(enum.Enum):
    red = 1
    blue = 2


class Shouting(sqlalchemy.types.TypeDecorator):
    impl = sqlalchemy.Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value.upper()


class Thing(Base):
    __tablename__ = "Things"
    id = Column(sqlalchemy.BigInteger, primary_key=True)
    label = Column("The Label", Shouting)
    color = Column(sqlalchemy.Enum(Color, name="color"))
    price = Column(sqlalchemy.Numeric)
    at = Column(sqlalchemy.DateTime(timezone=True))
    took = Column(sqlalchemy.Interval)
    token = Column(postgresql.UUID(as_uuid=True), default=uuid.uuid4)
    raw = Column(sqlalchemy.LargeBinary)
    tags = Column(postgresql.ARRAY(sqlalchemy.Text))
    doc = Column(postgresql.JSONB)
    address = Column(postgresql.INET)
    ratio = Column(sqlalchemy.Float)
    state = Column(sqlalchemy.Text, default="new", onupdate="changed")


class Bulk(unittest.TestCase):
    def setUp(self):
        dbutil.configure(dsn=harness.server.dsn)
        self.addCleanup(dbutil.close_all_pools)
        harness.make_users()
        with get_sync_db_session("bulk") as session:
            Base.metadata.drop_all(session.connection())
            Base.metadata.create_all(session.connection())

    ROW = dict(id=2 ** 62, label="loud", color=Color.blue, price=decimal.Decimal("1.08000000000000000000000001"),
               at=datetime.datetime(2026, 2, 3, 4, 5, 6, 789, datetime.timezone.utc),
               took=datetime.timedelta(days=-1, microseconds=1), raw=b"\x00\xff'\\", tags=["a,b", '"', None],
               doc={"a": [1, None, "\u20ac"]}, address=ipaddress.ip_address("10.1.2.3"), ratio=float("-inf"))

    def test_types_come_back_as_they_went(self):
        with get_sync_db_session("bulk") as session:
            self.assertEqual(bulk_insert(session, Thing, [self.ROW], "bulk").inserted, 1)
        with get_sync_db_session("bulk") as session:
            thing = session.get(Thing, 2 ** 62)
            got = {name: getattr(thing, name) for name in self.ROW}
            got["raw"], got["address"] = bytes(got["raw"]), ipaddress.ip_address(got["address"])
            self.assertEqual(got, {**self.ROW, "label": "LOUD"})
            self.assertIsInstance(thing.token, uuid.UUID)       # the Column's default
            self.assertEqual(thing.state, "new")
            bulk_update(session, Thing, [{"id": 2 ** 62, "color": None}], "id", "bulk")
            session.refresh(thing)
            self.assertEqual((thing.color, thing.state, thing.label), (None, "changed", "LOUD"))

    def test_slices_of_a_generator(self):
        count = 2 * bulk.SLICE + 1
        with get_sync_db_session("bulk") as session:
            result = bulk_insert(session, "users", ({"id": i, "name": "n"} for i in range(count)), "bulk")
            self.assertEqual((result.rows_in, result.inserted), (count, count))
            result = bulk_delete(session, "users", range(count), "id", "bulk")
            self.assertEqual(result.deleted, count)
            self.assertEqual(bulk_insert(session, "users", [], "bulk").rows_in, 0)

    def test_options_and_rejects(self):
        with get_sync_db_session("bulk") as session:
            rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None}, {"id": 3, "name": "c"}]
            result = bulk_insert(session, "users", rows, "bulk", on_error="reject")
            self.assertEqual((result.inserted, result.rejected), (2, 1))
            told = session.execute("SELECT ord, sqlstate FROM dbutil.bulk_rejects WHERE job = :job",
                                   {"job": result.jobs[0]}).fetchall()
            self.assertEqual([tuple(row) for row in told], [(2, "23502")])
            result = bulk_insert(session, "users", [{"id": 1, "name": "b"}], "bulk", on_conflict="update",
                                 update_columns=["name"])
            self.assertEqual(result.updated, 1)
            result = bulk_update(session, "users", [{"id": 9, "name": "x"}], ["id"], "bulk", missing="ignore")
            self.assertEqual(result.missing, 1)
            result = bulk_delete(session, "users", [(1, "b"), (3, "x")], ["id", "name"], "bulk")
            self.assertEqual((result.deleted, result.missing), (1, 1))

    def test_a_rollback_takes_all_back(self):
        with self.assertRaises(ZeroDivisionError), get_sync_db_session("bulk") as session:
            bulk_insert(session, "users", [{"name": "a"}], "bulk")
            1 / 0
        self.assertEqual(harness.server.sql("SELECT count(*) FROM users"), "0")

    def test_bad_input(self):
        users = sqlalchemy.Table("users", sqlalchemy.MetaData(), Column("id", sqlalchemy.Integer),
                                 Column("name", sqlalchemy.Text, default=sqlalchemy.func.now()))
        with get_sync_db_session("bulk") as session:
            for error, message, call in (
                    (TypeError, "no option 'on_conflct'", lambda: bulk_insert(session, "users", [{}], "b", on_conflct=1)),
                    (ValueError, "has no column 'nam'", lambda: bulk_insert(session, users, [{"nam": 1}], "b")),
                    (ValueError, "SQL expression as its default", lambda: bulk_insert(session, users, [{"id": 1}], "b")),
                    (TypeError, "no SQL expressions", lambda: bulk_update(
                        session, users, [{"id": sqlalchemy.func.now()}], "id", "b")),
                    (TypeError, "row 1 must be a dictionary", lambda: bulk_insert(session, "users", [(1,)], "b")),
                    (TypeError, "a table must be", lambda: bulk_insert(session, 7, [{}], "b")),
                    (TypeError, "key must be", lambda: bulk_update(session, "users", [{}], None, "b")),
                    (ValueError, "key 1 has 1 values for 2", lambda: bulk_delete(
                        session, "users", [(1,)], ["id", "name"], "b")),
                    (TypeError, "a session must be", lambda: bulk_insert(None, "users", [{}], "b"))):
                with self.subTest(message), self.assertRaisesRegex(error, message):
                    call()
        with self.assertRaises(sqlalchemy.exc.DBAPIError) as caught, get_sync_db_session("bulk") as session:
            bulk_insert(session, 'users"; DROP TABLE users; --', [{"name": "a"}], "bulk")
        self.assertIn(dbutil.sqlstate(caught.exception), ("42601", "42602", "42P01"))

    def test_metrics(self):
        dbutil.reset_metrics()
        with get_sync_db_session("bulk") as session:
            bulk_insert(session, "users", [{"name": "a"}] * 3, "bulk")
        self.assertEqual(dbutil.metrics()["dbutil_bulk_rows"],
                         [{"labels": {"operation": "insert", "service": "bulk", "table": "users"}, "value": 3}])
        self.assertIn('dbutil_bulk_rows_total{operation="insert",service="bulk",table="users"} 3\n',
                      dbutil.metrics_text())
