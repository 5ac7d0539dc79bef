"""Settings, names of parameters, CPUs: what needs no server."""

import os
import tempfile
import unittest

import dbutil
from dbutil import cpus, names, settings, values


class Names(unittest.TestCase):
    def test_what_is_no_parameter(self):
        for sql in ("SELECT '12:30:45'", "SELECT E'a\\':b'", "SELECT a::text", 'SELECT ":a"', "-- :a\nSELECT 1",
                    "/* :a /* :b */ :c */ SELECT 1", "SELECT $$ :a $$", "SELECT $q$ :a $$ :b $q$", "SELECT a[1:n]",
                    "SELECT date'2020-01-01 12:30'", "SELECT a$b, ':c', d$e"):
            with self.subTest(sql):
                self.assertEqual(names.split(sql), ((sql,), ()))

    def test_parameters(self):
        self.assertEqual(names.numbered("SELECT :a, ':x', :b::int, (:a)"), ("SELECT $1, ':x', $2::int, ($1)", ("a", "b")))
        self.assertEqual(names.numbered("SELECT '\\', :a"), ("SELECT '\\', $1", ("a",)))
        self.assertEqual(names.numbered("SELECT e'\\'', :a"), ("SELECT e'\\'', $1", ("a",)))
        self.assertEqual(names.numbered("SELECT /* ' */ :a /* ' */"), ("SELECT /* ' */ $1 /* ' */", ("a",)))

    def test_values_must_fit(self):
        with self.assertRaisesRegex(ValueError, ":b has no value"):
            names.check(("a", "b"), {"a": 1})
        with self.assertRaisesRegex(ValueError, "no parameter :c"):
            names.check(("a",), {"a": 1, "c": 1})


class Settings(unittest.TestCase):
    def tearDown(self):
        settings._given.clear()

    def test_unknown_name_is_told_the_nearest(self):
        with self.assertRaisesRegex(TypeError, "'acquire_timeut': did you mean 'acquire_timeout'"):
            dbutil.configure(acquire_timeut=1)

    def test_bad_values_change_nothing(self):
        for name, value in (("max_connections", 0), ("max_connections", True), ("lifetime", -1), ("pooler", 1),
                            ("acquire_timeout", "1"), ("connect_timeout", 0), ("dsn", None)):
            with self.subTest(name), self.assertRaises((TypeError, ValueError)):
                dbutil.configure(**{name: value})
        self.assertEqual(settings.settings_of("a"), settings.Settings())

    def test_a_service_has_its_own(self):
        dbutil.configure(max_connections=3, lifetime=60)
        dbutil.configure("orders", max_connections=5)
        self.assertEqual(settings.settings_of("orders").size(), 5)
        self.assertEqual(settings.settings_of("orders").lifetime, 60)
        self.assertEqual(settings.settings_of("quotes").size(), 3)

    def test_names_of_services(self):
        for name in ("", "x" * 64, "caf\u00e9", "a\nb", None, 1):
            with self.subTest(name), self.assertRaises((TypeError, ValueError)):
                dbutil.get_connection_pool(name)

    def test_dsn_that_cannot_be_read(self):
        with self.assertRaisesRegex(ValueError, "dsn cannot be read"):
            settings.Settings(dsn="host=a nonsense").conninfo("a")

    def test_dsn_wins_over_defaults(self):
        info = settings.Settings(dsn="postgresql:///x?application_name=y&keepalives_idle=7").conninfo("a")
        self.assertEqual((info["application_name"], info["keepalives_idle"], info["tcp_user_timeout"]),
                         ("y", "7", "15000"))


class Cpus(unittest.TestCase):
    def root(self, **files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for path, text in files.items():
            path = os.path.join(folder.name, path.replace("__", "/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        return folder.name

    def test_quota_of_a_group_above(self):
        # as a container's limit: half a CPU counts as one
        root = self.root(**{"proc__self__cgroup": "0::/a/b\n", "sys__fs__cgroup__a__cpu.max": "50000 100000\n",
                            "sys__fs__cgroup__a__b__cpu.max": "max 100000\n"})
        self.assertEqual(cpus.usable_cpus(root), 1)
        self.assertEqual(cpus.pool_size(root), 3)

    def test_version_1(self):
        root = self.root(**{"proc__self__cgroup": "4:cpu,cpuacct:/a\n",
                            "sys__fs__cgroup__cpu__a__cpu.cfs_quota_us": "100000\n",
                            "sys__fs__cgroup__cpu__a__cpu.cfs_period_us": "100000\n"})
        self.assertEqual(cpus.usable_cpus(root), 1)

    def test_no_quota(self):
        self.assertEqual(cpus.usable_cpus(self.root()), len(os.sched_getaffinity(0)))


class Values(unittest.TestCase):
    def test_nul(self):
        with self.assertRaisesRegex(ValueError, "NUL"):
            values.dumps([{"a": "x\x00"}])
        self.assertEqual(values.dumps("\\u0000"), '"\\\\u0000"')

    def test_no_form(self):
        with self.assertRaisesRegex(TypeError, "type object has no form"):
            values.dumps(object())
