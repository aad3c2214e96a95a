"""Opens what the service listens on: a TCP port on its addresses, or a Unix socket."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import trio

from job_service.errors import CannotListen

_BACKLOG = 1_024
_ACCEPTED_AT_ONCE = 64
_OWNER_ONLY = 0o600
_LOCK_SECONDS = 1.0
_NO_SUCH_ADDRESS: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
_WAYS_OUT: Final = {
    errno.EADDRINUSE: "; choose another --port, or 0 for any free one",
    errno.EACCES: "; choose a --port of 1024 or more",
}


class Listener(trio.abc.AsyncResource):
    """A socket that listens."""

    def __init__(self, listening: socket.socket) -> None:
        listening.setblocking(False)  # whatever default timeout a program has set
        self.socket = listening

    def url(self, scheme: str) -> str:
        """The address that clients use."""
        host, port = self.socket.getsockname()[:2]
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def accept(self) -> list[trio.SocketStream]:
        """The connections that wait to be accepted, at least one. Always a checkpoint.

        Trio accepts one in each turn of the loop. If each turn serves many requests, the last of a
        crowd would wait for many turns. Raises OSError, for example if too many files are open.
        """
        accepted: list[trio.SocketStream] = []
        while not accepted:
            await trio.lowlevel.wait_readable(self.socket)
            with contextlib.suppress(BlockingIOError):  # the client has left meanwhile
                self._accept_all(accepted)
        return accepted

    def remove(self) -> None:
        """Remove what others could see of it."""

    async def aclose(self) -> None:
        """Stop listening, unless that was done."""
        self.remove()
        trio.lowlevel.notify_closing(self.socket)
        self.socket.close()
        await trio.lowlevel.checkpoint()

    def _accept_all(self, accepted: list[trio.SocketStream]) -> None:
        try:
            while len(accepted) < _ACCEPTED_AT_ONCE:
                connection, _ = self.socket.accept()
                accepted.append(trio.SocketStream(trio.socket.from_stdlib_socket(connection)))
        except OSError:
            if not accepted:
                raise


class UnixListener(Listener):
    """Listens on a Unix socket that only its owner may open. Closing removes the socket."""

    def __init__(self, path: str) -> None:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_if_stale(path)
            listening.bind(path)
            Path(path).chmod(
                _OWNER_ONLY
            )  # before anybody can connect; a umask is the whole process's
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
        super().__init__(listening)
        self._path = path
        self._place = str(Path(path).absolute())  # even if a handler changes the working directory
        self._identity = _identity(path)

    def url(self, scheme: str) -> str:  # noqa: ARG002  # a path has no scheme
        """Its path, as people read it."""
        return f"unix:{self._path}"

    def remove(self) -> None:
        """Remove the socket, unless another service has taken its path."""
        with contextlib.suppress(OSError):
            if _identity(self._place) == self._identity:
                Path(self._place).unlink()


async def listen_on_port(host: str, port: int) -> list[Listener]:
    """Listen on all addresses of `host`; `::` includes those of IPv4. Raises CannotListen."""
    listening: list[socket.socket] = []
    try:
        for family, address in await _addresses(host, port):
            if listening and port == 0:
                port = listening[0].getsockname()[1]
            try:
                listening.append(_listen((address, port), family))
            except OSError as error:
                unavailable = error
                if error.errno not in _NO_SUCH_ADDRESS:  # as IPv6 often is not there
                    raise
        if not listening:
            raise unavailable
    except (OSError, UnicodeError) as error:  # UnicodeError: this can't be a host name
        for each in listening:
            each.close()
        way_out = _WAYS_OUT.get(getattr(error, "errno", 0), "")
        raise CannotListen(
            f"can't listen on {host} port {port}: {reason(error)}{way_out}"
        ) from error
    return [Listener(each) for each in listening]


async def listen_on_path(path: str) -> list[Listener]:
    """Listen on a Unix socket, and replace one that is left over. Raises CannotListen."""
    try:
        async with _locked(Path(path).parent):
            return [UnixListener(path)]
    except OSError as error:
        raise CannotListen(f"can't listen on {path}: {reason(error)}") from error


def reason(error: OSError | UnicodeError) -> str:
    """What went wrong, in the system's words."""
    words = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return words.partition(" (while attempting")[0]  # Python repeats the address, as a tuple


async def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    found = await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _listen(address: tuple[str, int], family: socket.AddressFamily) -> socket.socket:
    is_all = family == socket.AF_INET6 and address[0] == "::"
    return socket.create_server(
        address,
        family=family,
        backlog=_BACKLOG,
        dualstack_ipv6=is_all and socket.has_dualstack_ipv6(),
    )


@contextlib.asynccontextmanager
async def _locked(directory: Path) -> AsyncIterator[None]:
    """Let one service at a time replace a socket in this directory.

    Two that find the same one left over would both remove it, and the second would remove the new
    socket of the first. A service holds the lock for a moment only. So whoever holds it for longer
    is another program, and no reason to wait.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with trio.move_on_after(_LOCK_SECONDS):
            while not _lock(descriptor):  # noqa: ASYNC110 (another process has it)
                await trio.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_if_stale(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return  # binding will fail
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # or a service that hangs would make us hang, too
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                Path(path).unlink()
            except BlockingIOError:
                return  # binding will fail, because somebody listens


def _identity(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino
