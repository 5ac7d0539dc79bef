"""What the tests of src/python share: a private server with the extension, and TAP.

A test file is a unittest module; `python3 run.py FILE...` runs it against a server
that is made for the run: initdb in a temporary folder, unix socket only, dbutil
preloaded from where $TEMP_CONFIG says. Ends nothing but that server.
"""

import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """A server of our own; bin: the folder of its programs."""

    def __init__(self, bin):
        self.bin = bin
        self.dir = tempfile.mkdtemp(prefix="dbupy.")
        self.data = self.dir + "/data"
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--no-locale")
        with open(self.data + "/postgresql.conf", "a", encoding="utf-8") as conf:
            with open(os.environ["TEMP_CONFIG"], encoding="utf-8") as staged:
                conf.write(staged.read())
            conf.write("\nlisten_addresses = ''\nunix_socket_directories = '%s'\nport = 5432\nfsync = off\n"
                       "shared_preload_libraries = 'dbutil'\nmax_connections = 60\n"
                       "log_line_prefix = '%%m [%%p] %%q%%a '\n" % self.dir)
        self.dsn = "host=%s port=5432 user=postgres dbname=dbutil_python" % self.dir

    def _run(self, program, *args):
        done = subprocess.run([self.bin + "/" + program, *args], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError("%s failed:\n%s" % (program, done.stdout))
        return done.stdout

    def start(self):
        # its output to a file: a server holds what it inherits
        with open(self.dir + "/ctl", "w", encoding="utf-8") as out:
            subprocess.run([self.bin + "/pg_ctl", "-D", self.data, "-l", self.dir + "/log", "-w", "-t", "60", "-s",
                            "start"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True)

    def stop(self, mode="fast"):
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "60", "-s", "stop")

    def sql(self, text, database="dbutil_python"):
        """Run SQL by psql; what it printed, unaligned."""
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.dir, "-U", "postgres",
                         "-d", database, "-c", text).strip()

    def remove(self):
        if os.path.exists(self.data + "/postmaster.pid"):
            self.stop("immediate")
        with open(self.dir + "/log", encoding="utf-8", errors="replace") as log:
            died = [line for line in log if "terminated by signal" in line or "PANIC: " in line]
        shutil.rmtree(self.dir)
        return died


server = None       # run.py's


def make_users():
    """The deck's table, empty, with its names for the database's."""
    server.sql("DROP TABLE IF EXISTS users CASCADE; CREATE TABLE users (id serial PRIMARY KEY, "
               "name text NOT NULL, email text)")
