"""The certificate and key for TLS: loaded at the start, and anew when their files change."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from job_service.errors import CannotListen
from job_service.telemetry.events import (
    CertificateReloaded,
    CertificateReloadFailed,
    Event,
    utc_now,
)
from job_service.web.edge.listeners import reason

LOOK_SECONDS = 1.0

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: none with CBC, all with forward secrecy

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Signature = tuple[tuple[int, int, int], ...]


class Keys:
    """What each handshake uses. Raises CannotListen for files of no use.

    A pair that can't be used takes the place of none: the one before stays. Files are read in a
    thread, because they may be on a disk that is slow or hangs.
    """

    def __init__(self, certfile: str, keyfile: str) -> None:
        self._files = certfile, keyfile
        self._signature = self._look()
        self._is_asked = False
        self.context = load_tls(certfile, keyfile)

    def reload_soon(self) -> None:
        """Load the files anew though they may look the same. Made for signal handlers."""
        self._is_asked = True

    async def watch(self, emit: Callable[[Event], None]) -> None:
        """Load the files anew, whenever they have changed, or `reload_soon` was called.

        Never returns. Who writes them may not be done with both when the first one changes, so a
        change counts when it has lasted for a look.
        """
        before = self._signature
        while True:
            await trio.sleep(LOOK_SECONDS)
            now = await _in_thread(self._look)
            has_changed = now == before != self._signature
            before = now
            if has_changed or self._is_asked:
                self._is_asked = False
                self._signature = now
                await self._reload(emit)

    async def _reload(self, emit: Callable[[Event], None]) -> None:
        try:
            self.context = await _in_thread(load_tls, *self._files)
        except CannotListen as error:
            emit(CertificateReloadFailed(timestamp=utc_now(), error=str(error)))
        else:
            emit(CertificateReloaded(timestamp=utc_now(), certfile=self._files[0]))

    def _look(self) -> Signature:
        return tuple(map(_signature, self._files))


async def _in_thread(function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call it in a thread whose place no handler can take. It may be cancelled."""
    return await trio.to_thread.run_sync(
        function, *args, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
    )


def load_tls(certfile: str, keyfile: str) -> ssl.SSLContext:
    """The server's side of TLS. Raises CannotListen."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])  # who does not offer it gets it all the same
    try:
        context.load_cert_chain(certfile, keyfile, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        files = f"certificate {certfile} and key {keyfile}"
        why = "are they swapped?" if _are_swapped(certfile, keyfile) else reason(error)
        raise CannotListen(f"can't use {files}: {why}") from error
    return context


def _signature(path: str) -> tuple[int, int, int]:
    """What is different once a file has been written or replaced."""
    try:
        status = Path(path).stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


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
