"""The TLS handshake with one client, and what went wrong where there was none."""

import ssl
from socket import MSG_PEEK

import trio

from job_service.failures.report import describe


class HandshakeFailed(Exception):
    """Client and server did not agree upon TLS; the message says why."""


async def shake_hands(
    stream: trio.SocketStream, tls: ssl.SSLContext
) -> trio.SSLStream[trio.SocketStream] | None:
    """The stream inside TLS; None where the client went without a word, as who probes a port.

    Raises HandshakeFailed. How long it may take is the caller's to say.
    """
    secured = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
    try:
        if not await stream.socket.recv(1, MSG_PEEK):
            return None
        await secured.do_handshake()
    except OSError:  # of a reset before the first word
        return None
    except trio.BrokenResourceError as error:
        raise HandshakeFailed(f"TLS handshake failed: {_reason(error)}") from error
    return secured


def _reason(error: trio.BrokenResourceError) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return cause.reason.replace("_", " ").lower()
    return describe(cause or error)
