"""run.py BINDIR TEST...: runs test files by name against a private server; TAP on
standard output, exit status 1 if one failed. Names without folder and ending."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../src/python")]
sys.dont_write_bytecode = True

import harness          # noqa: E402


class Tap(unittest.TestResult):
    """Each test a line, and for a failed one what is needed to understand it."""

    number = 0

    def _line(self, result, test, more=""):
        Tap.number += 1
        print("%s %d - %s%s" % (result, Tap.number, test.id(), more), flush=True)

    def addSuccess(self, test):
        self._line("ok", test)

    def addSkip(self, test, reason):
        self._line("ok", test, " # SKIP " + reason)

    def _bad(self, test, error):
        self._line("not ok", test)
        for line in self._exc_info_to_string(error, test).splitlines():
            print("# " + line, flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._bad(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self._bad(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._bad(subtest, error)


def main(bin, *tests):
    os.environ["PATH"] = bin + os.pathsep + os.environ["PATH"]
    result = Tap()
    harness.server = server = harness.Server(bin)
    died = []
    try:
        server.start()
        server.sql("CREATE DATABASE dbutil_python", "postgres")
        server.sql("CREATE EXTENSION dbutil")
        # one suite: between two, the last class of the first would be torn down twice
        unittest.defaultTestLoader.loadTestsFromNames(tests).run(result)
    finally:
        died = server.remove()
    for line in died:
        print("Bail out! the server died: " + line.strip())
    print("1..%d" % Tap.number)
    sys.exit(0 if result.wasSuccessful() and Tap.number and not died else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
