"""Asks a service that may die at any moment, until it answers."""

import random
from collections.abc import Sequence
from typing import Final

import httpx
import trio

from tests.process.killing.books import Clients

AGAIN_SECONDS: Final = 0.02
NOT_NOW: Final = frozenset({429, 503})


class _AnyOf(httpx.AsyncBaseTransport):
    """Sends each request to one of several processes, as a balancer would."""

    def __init__(self, sockets: Sequence[str]) -> None:
        # To read the certificates of the web takes longer than all else.
        self._ways = [httpx.AsyncHTTPTransport(uds=socket, verify=False) for socket in sockets]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to any of them."""
        return await random.choice(self._ways).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all ways."""
        for way in self._ways:
            await way.aclose()


def client(*sockets: str) -> httpx.AsyncClient:
    """A client of the service at this socket, or of the processes at these."""
    return httpx.AsyncClient(transport=_AnyOf(sockets), base_url="http://localhost", timeout=30)


async def ask(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    body: bytes | None = None,
    key: str | None = None,
    book: Clients | None = None,
) -> httpx.Response:
    """The answer, however often it takes to get one; a `key` keeps that from doing harm."""
    headers = {} if key is None else {"Idempotency-Key": key}
    if body:
        kind = "x-ndjson" if path == "/jobs/batch" else "json"
        headers["Content-Type"] = f"application/{kind}"
    while True:
        try:
            answer = await http.request(method, path, content=body, headers=headers)
        except httpx.TransportError:
            if book is not None:
                book.repeated += 1
        else:
            if answer.status_code not in NOT_NOW:
                return answer
        await trio.sleep(AGAIN_SECONDS)
