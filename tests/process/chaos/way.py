"""The way from a process to its database, which can be silent, cut, or break in a commit."""

import random
from pathlib import Path
from typing import Final

import trio

NAME: Final = ".s.PGSQL.5432"  # of the socket, in whatever folder a URL names as its host
_COMMIT: Final = b"COMMIT\0"
_CHUNK: Final = 65_536


class Way:
    """Takes connections on a socket in `folder`, and leads each to the server's in `server`."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._server = server
        self._passes = trio.Event()
        self._passes.set()
        self._is_cut = False
        self._connections = set[trio.CancelScope]()
        self._chance = random.Random(str(folder))
        self.commits_to_break = 0

    async def run(self, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
        """Take connections until cancelled."""
        self.folder.mkdir()
        listener = trio.socket.socket(trio.socket.AF_UNIX)
        await listener.bind(str(self.folder / NAME))
        listener.listen(100)
        await trio.serve_listeners(
            self._lead, [trio.SocketListener(listener)], task_status=task_status
        )

    def silence(self) -> None:
        """Let nothing pass, as if a cable was pulled: nobody is told."""
        self._passes = trio.Event()

    def speak(self) -> None:
        """Let all pass that was held up, and what comes."""
        self._passes.set()

    def cut(self) -> None:
        """End all connections, and take no new ones."""
        self._is_cut = True
        self.cut_once()

    def cut_once(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.cancel()

    def mend(self) -> None:
        """Take connections again."""
        self._is_cut = False

    async def _lead(self, client: trio.SocketStream) -> None:
        try:
            async with client, await trio.open_unix_socket(str(self._server / NAME)) as server:
                if self._is_cut:
                    return
                async with trio.open_nursery() as nursery:
                    self._connections.add(nursery.cancel_scope)
                    try:
                        nursery.start_soon(self._forward, client, server, nursery.cancel_scope)
                        await self._forward(server, client, nursery.cancel_scope)
                    finally:
                        self._connections.discard(nursery.cancel_scope)
        except* (OSError, trio.BrokenResourceError):
            pass  # either end may go at any moment

    async def _forward(
        self, source: trio.SocketStream, sink: trio.SocketStream, connection: trio.CancelScope
    ) -> None:
        while chunk := await source.receive_some(_CHUNK):
            await self._passes.wait()
            if _COMMIT in chunk and self.commits_to_break:
                self.commits_to_break -= 1
                if self._chance.random() < 0.7:  # else the server never gets it
                    await sink.send_all(chunk)
                break
            await sink.send_all(chunk)
        connection.cancel()
