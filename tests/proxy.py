"""A small proxy on loopback that has a service at a path of its own, as nginx may."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_WR, create_connection, socket
from socketserver import BaseRequestHandler, ThreadingTCPServer

NOWHERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, root_path: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root_path = root_path.encode()
        self.port = port  # of the service


class _Handler(BaseRequestHandler):
    """One request: the path goes on without what it begins with, and all else as it is."""

    request: socket
    server: _Server

    def handle(self) -> None:
        """Called for each connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.request.recv(65_536)
            if not piece:
                return
            head += piece
        method, target, rest = head.split(b" ", 2)
        path = target.removeprefix(self.server.root_path)
        if path == target or not path.startswith(b"/"):
            self.request.sendall(NOWHERE)
            return
        version, fields = rest.split(b"\r\n", 1)
        lines = method, b" ", path, b" ", version, b"\r\nConnection: close\r\n", fields
        with create_connection(("127.0.0.1", self.server.port)) as service:
            service.sendall(b"".join(lines).replace(b"Connection: keep-alive\r\n", b""))
            threading.Thread(target=_pass_on, args=(self.request, service), daemon=True).start()
            _pass_on(service, self.request)


def _pass_on(here: socket, there: socket) -> None:
    with suppress(OSError):
        while piece := here.recv(65_536):
            there.sendall(piece)
        there.shutdown(SHUT_WR)


@contextmanager
def proxied(root_path: str, port: int) -> Iterator[str]:
    """The URL at which the service on this port is found through a proxy, for the block."""
    with _Server(root_path, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{root_path}"
        finally:
            server.shutdown()
            thread.join()
