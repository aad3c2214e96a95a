"""A way to the server that breaks, when it is told to, after a commit and before its answer."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = ".s.PGSQL.5432"  # of the socket, in whatever folder a URL names as its host
_CHUNK: Final = 65_536


class Way:
    """Takes connections on a socket in `folder`, and leads each to the server's in `server`."""

    def __init__(self, folder: Path, server: Path) -> None:
        folder.mkdir()
        self.folder = str(folder)
        self._server = server
        self._breaks: Callable[[], bool] | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / NAME))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def break_if(self, holds: Callable[[], bool]) -> None:
        """End the next connection, once, whose answer comes when this holds."""
        self._breaks = holds

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server / NAME))
                for ends in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):  # either end may go at any moment
            while chunk := source.recv(_CHUNK):
                if answers and self._breaks is not None and self._breaks():
                    self._breaks = None
                    break
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
