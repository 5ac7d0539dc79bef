"""Every program of examples/python, and every example of docs/python.md, prints what is written."""

import contextlib
import io
import os
import re
import subprocess
import sys
import unittest

import harness
import dbutil

ROOT = os.path.join(harness.HERE, "../..")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class Examples(unittest.TestCase):
    def setUp(self):
        harness.server.sql("DROP TABLE IF EXISTS users, example_ticks, example_accounts")
        dbutil.settings._given.clear()
        dbutil.reset_metrics()

    def test_programs(self):
        programs = sorted(name for name in os.listdir(os.path.join(ROOT, "examples/python")) if name.endswith(".py"))
        expected = dict(re.findall(r"^== (\S+)\n(.*?)(?=^== |\Z)", read("examples/python/expected.txt"), re.M | re.S))
        self.assertEqual(sorted(expected), programs)
        env = {**os.environ, "DBUTIL_DSN": harness.server.dsn, "PYTHONPATH": os.path.join(ROOT, "src/python"),
               "PYTHONDONTWRITEBYTECODE": "1"}
        for name in programs:
            with self.subTest(name):
                done = subprocess.run([sys.executable, os.path.join(ROOT, "examples/python", name)], env=env, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      check=False, timeout=120)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, expected[name], ""))

    def test_page(self):
        os.environ["DBUTIL_DSN"] = harness.server.dsn
        self.addCleanup(os.environ.pop, "DBUTIL_DSN")
        self.addCleanup(dbutil.close_all_pools)
        blocks = re.findall(r"^```python\n(.*?)^```\n```text\n(.*?)^```$", read("docs/python.md"), re.M | re.S)
        self.assertEqual(len(blocks), read("docs/python.md").count("```python"))
        names = {}
        for code, printed in blocks:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, "docs/python.md", "exec"), names)        # our own page
            self.assertEqual(out.getvalue(), printed)
