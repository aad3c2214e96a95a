"""TLS: the certificate and key, which may change while the service runs, and the handshake."""

import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from socket import MSG_PEEK

import trio

from job_service.errors import CannotListen
from job_service.failures.report import describe
from job_service.process.watched_files import WatchedFiles, in_thread
from job_service.telemetry.events import (
    CertificateReloaded,
    CertificateReloadFailed,
    Event,
    utc_now,
)
from job_service.web.edge.listeners import reason

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: none with CBC, all with forward secrecy


class Keys:
    """The certificate and key of each handshake. Raises CannotListen if they can't be used.

    If new files can't be used, the pair from before stays.
    """

    def __init__(self, certfile: str, keyfile: str) -> None:
        self._files = certfile, keyfile
        self._watched = WatchedFiles(certfile, keyfile)
        self.context = load_tls(certfile, keyfile)

    def reload_soon(self) -> None:
        """Load the files anew even if they look the same. May be called by a signal handler."""
        self._watched.reload_soon()

    async def watch(self, emit: Callable[[Event], None]) -> None:
        """Load the files anew whenever they have changed, or `reload_soon` was called.

        Never returns.
        """

        async def reload() -> None:
            try:
                self.context = await in_thread(load_tls, *self._files)
            except CannotListen as error:
                emit(CertificateReloadFailed(timestamp=utc_now(), error=str(error)))
            else:
                emit(CertificateReloaded(timestamp=utc_now(), certfile=self._files[0]))

        await self._watched.watch(reload)


def load_tls(certfile: str, keyfile: str) -> ssl.SSLContext:
    """The server's side of TLS. Raises CannotListen."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])  # spoken to all others, too
    files = f"certificate {certfile} and key {keyfile}"
    try:
        for path in (certfile, keyfile):
            if not stat.S_ISREG(Path(path).stat().st_mode):  # to read a pipe may take for ever
                raise CannotListen(f"can't use {files}: {path} is not a regular file")
        context.load_cert_chain(certfile, keyfile, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        why = "are they swapped?" if _are_swapped(certfile, keyfile) else reason(error)
        raise CannotListen(f"can't use {files}: {why}") from error
    return context


class HandshakeFailed(Exception):
    """Client and server did not agree on TLS; the message says why."""


async def shake_hands(
    stream: trio.SocketStream, tls: ssl.SSLContext
) -> trio.SSLStream[trio.SocketStream] | None:
    """The stream inside TLS; None if the client left without a word, as a port scan does.

    Raises HandshakeFailed. The caller limits how long it may take.
    """
    secured = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
    try:
        if not await stream.socket.recv(1, MSG_PEEK):
            return None
        await secured.do_handshake()
    except OSError:  # of a reset before the first word
        return None
    except trio.BrokenResourceError as error:
        raise HandshakeFailed(f"TLS handshake failed: {_failure(error)}") from error
    return secured


def _failure(error: trio.BrokenResourceError) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return cause.reason.replace("_", " ").lower()
    return describe(cause or error)


def _are_swapped(certfile: str, keyfile: str) -> bool:
    """Whether each holds what belongs in the other; OpenSSL says no more than "PEM lib"."""
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
    """Keeps OpenSSL from asking on the terminal if the key is encrypted."""
    return ""
