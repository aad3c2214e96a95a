"""Opens what the service listens on: a TCP port or a Unix socket, and the keys for TLS."""

import contextlib
import socket
import ssl
import stat
from pathlib import Path

import trio

from job_service.web.edge.sockets import accept_all

_BACKLOG = 1_024
_OWNER_ONLY = 0o600


class CannotListen(Exception):
    """The address or the keys can't be had; the message says why."""


class UnixListener(trio.abc.AsyncResource):
    """Listens on a Unix socket that only its owner may open, and removes it when it is closed."""

    def __init__(self, path: str) -> None:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_if_stale(path)
            listening.bind(path)
            Path(path).chmod(_OWNER_ONLY)  # before anybody can connect; the umask is everybody's
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
        self.path = path
        self._place = str(Path(path).absolute())  # wherever a handler makes the process go
        self._identity = _identity(path)
        self.inner = trio.SocketListener(trio.socket.from_stdlib_socket(listening))

    async def aclose(self) -> None:
        """Stop listening, and remove the socket."""
        self.remove()
        await self.inner.aclose()

    def remove(self) -> None:
        """Remove the socket, unless another service has taken its path."""
        with contextlib.suppress(OSError):
            if _identity(self._place) == self._identity:
                Path(self._place).unlink()


Listener = trio.SocketListener | UnixListener


async def accept_from(listener: Listener) -> list[trio.SocketStream]:
    """The connections that wait to be accepted, at least one. Raises OSError."""
    return await accept_all(inner_of(listener))


def inner_of(listener: Listener) -> trio.SocketListener:
    """Trio's own listener in it."""
    return listener.inner if isinstance(listener, UnixListener) else listener


async def listen_on_port(host: str, port: int) -> list[Listener]:
    """Listen on all addresses of `host`. Raises CannotListen."""
    try:
        return [*await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)]
    except (OSError, UnicodeError) as error:  # UnicodeError: no host name at all
        raise CannotListen(f"can't listen on {host} port {port}: {_reason(error)}") from error


def listen_on_path(path: str) -> list[Listener]:
    """Listen on a Unix socket; one that is left over is replaced. Raises CannotListen."""
    try:
        return [UnixListener(path)]
    except OSError as error:
        raise CannotListen(f"can't listen on {path}: {_reason(error)}") from error


def load_tls(certfile: str, keyfile: str) -> ssl.SSLContext:
    """The server's side of TLS, for HTTP/2 and HTTP/1.1. Raises CannotListen."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certfile, keyfile, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        files = f"certificate {certfile} and key {keyfile}"
        why = "are they swapped?" if _are_swapped(certfile, keyfile) else _reason(error)
        raise CannotListen(f"can't use {files}: {why}") from error
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def url(listener: Listener, scheme: str) -> str:
    """How clients name what `listener` listens on."""
    if isinstance(listener, UnixListener):
        return f"unix:{listener.path}"
    host, port = listener.socket.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _are_swapped(certfile: str, keyfile: str) -> bool:
    """Whether each holds only what the other is to hold; OpenSSL says no more than "PEM lib"."""
    try:
        certificate, key = Path(certfile).read_bytes(), Path(keyfile).read_bytes()
    except OSError:
        return False
    return (
        b"CERTIFICATE-----" in key
        and b"CERTIFICATE-----" not in certificate
        and b"PRIVATE KEY-----" in certificate
    )


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal, where a key is encrypted."""
    return ""


def _remove_if_stale(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return  # binding will fail
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # one that accepts nobody any more is not waited for
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                Path(path).unlink()
            except BlockingIOError:
                return  # binding will fail


def _identity(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def _reason(error: OSError | UnicodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
