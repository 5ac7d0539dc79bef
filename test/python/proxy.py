"""A proxy between client and server that loses the connection where a test wants it."""

import os
import re
import socket
import tempfile
import threading


class Proxy:
    """Listens on a unix socket of its own and passes bytes on.

    cut(): a pattern of the client's bytes that ends the connection: "before" they are passed on,
    or "after" the server has answered them, without passing the answer on. Once.
    """

    def __init__(self, server_dir):
        self.dir = tempfile.mkdtemp(prefix="dbupx.")
        self._target = server_dir + "/.s.PGSQL.5432"
        self._path = self.dir + "/.s.PGSQL.5432"
        self._cut = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen(20)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, pattern, when):
        self._cut = (pattern, when)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        os.unlink(self._path)
        os.rmdir(self.dir)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            lost = threading.Event()
            threading.Thread(target=self._to_server, args=(client, server, lost), daemon=True).start()
            threading.Thread(target=self._to_client, args=(client, server, lost), daemon=True).start()

    @staticmethod
    def _end(*sockets):
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _to_server(self, client, server, lost):
        while True:
            try:
                data = client.recv(65536)
            except OSError:
                data = b""
            if not data:
                return self._end(server, client)
            if self._cut is not None and re.search(self._cut[0], data):
                when, self._cut = self._cut[1], None
                if when == "before":
                    return self._end(server, client)
                lost.set()
            server.sendall(data)

    def _to_client(self, client, server, lost):
        while True:
            try:
                data = server.recv(65536)
            except OSError:
                data = b""
            if not data or lost.is_set():
                return self._end(client, server)
            client.sendall(data)
