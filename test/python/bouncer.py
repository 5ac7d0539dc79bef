"""A pgbouncer of our own in transaction mode, before the server of the run."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

import harness

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:" + os.environ["PATH"])


class Bouncer:
    """port 6432 on a unix socket in dir; two connections to the server for a user and database."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="dbupb.")
        with open(self.dir + "/users", "w", encoding="ascii") as users:
            users.write('"postgres" ""\n')
        with open(self.dir + "/ini", "w", encoding="ascii") as ini:
            ini.write("[databases]\n* = host=%s port=5432\n[pgbouncer]\nlisten_addr = \nlisten_port = 6432\n"
                      "unix_socket_dir = %s\nauth_type = trust\nauth_file = %s/users\npool_mode = transaction\n"
                      "default_pool_size = 2\nmax_client_conn = 100\nlogfile = %s/log\n"
                      "ignore_startup_parameters = extra_float_digits\n"
                      % (harness.server.dir, self.dir, self.dir, self.dir))
        self._process = subprocess.Popen([PROGRAM, "-q", self.dir + "/ini"], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.dsn = "host=%s port=6432 user=postgres dbname=dbutil_python" % self.dir
        end = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                with open(self.dir + "/log", encoding="utf-8", errors="replace") as log:
                    raise RuntimeError("pgbouncer does not start:\n" + log.read())
            time.sleep(0.05)

    def _answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.dir + "/.s.PGSQL.6432")
            return True
        except OSError:
            return False

    def close(self):
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self.dir)
