"""Requests and answers as httpx has them."""

import math
import ssl
from typing import Any, Final, TypeVar

import httpx

from job_service.client.address import Address
from job_service.client.exchange import Answer, NoAnswer, Request
from job_service.errors import SettingsError

C = TypeVar("C", httpx.Client, httpx.AsyncClient)

_CONNECT_SECONDS: Final = 10.0
# Of httpx, a client has 100 connections, and calls wait for one without an end. Here each call has
# its own, so that no number of waits or streams holds up another call.
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)
# The slowest line on which a large request is still sent in time.
_SLOWEST_BYTES_PER_SECOND: Final = 64 * 1024
# Nothing was sent before these.
_BEFORE_SENDING: Final = (httpx.ConnectError, httpx.ConnectTimeout)


def opened(
    kind: type[C], address: Address, transport: Any, ssl_context: ssl.SSLContext | None
) -> C:
    """A client of httpx for this address.

    Raises SettingsError if httpx can't go there, or not by the proxy that the environment names.
    """
    try:
        return kind(
            base_url=address.base_url,
            headers=address.headers,
            transport=transport,
            limits=LIMITS,
            # Without TLS it need not load any certificates, which takes long.
            verify=ssl_context or address.base_url.startswith("https:"),
        )
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        raise SettingsError("url", f"can't be {address.url}: {error}") from error


def arguments_of(request: Request) -> dict[str, Any]:
    """How httpx wants it."""
    return {
        "method": request.method,
        "url": request.path,
        "params": request.query,
        "headers": request.headers,
        "content": request.body,
        "timeout": httpx.Timeout(request.timeout_seconds, connect=_CONNECT_SECONDS, pool=None),
    }


def seconds_for(request: Request) -> float:
    """How long the whole exchange may take, from the connection to the last byte of the answer.

    The bounds of httpx are for each piece that comes, and begin anew with each byte of a trickle.
    """
    if request.timeout_seconds is None:
        return math.inf
    return request.timeout_seconds + len(request.body or b"") / _SLOWEST_BYTES_PER_SECOND


def too_slow(request: Request) -> httpx.RequestError:
    """What to raise when that time is over."""
    return httpx.ReadTimeout(f"the answer was not complete after {seconds_for(request):.3g} s")


def answer_of(response: httpx.Response, body: bytes = b"", seconds: float = 0.0) -> Answer:
    """What came; of a stream that has just begun, without a body."""
    return Answer(status=response.status_code, headers=response.headers, body=body, seconds=seconds)


def no_answer_of(error: Exception, url: str, seconds: float = 0.0) -> NoAnswer:
    """Why nothing came from `url`."""
    return NoAnswer(
        why=f"no service answers at {url}: {_words_of(error)}",
        may_have_arrived=not isinstance(error, _BEFORE_SENDING),
        seconds=seconds,
    )


def _words_of(error: BaseException) -> str:
    """What the error says, or the one that it comes from: some of httpx say nothing themselves."""
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return str(cause or type(error).__name__)
