"""Asks a service that may die at any moment, until it answers."""

from typing import Final

import httpx
import trio

from tests.process.killing.books import Clients

AGAIN_SECONDS: Final = 0.02
NOT_NOW: Final = frozenset({429, 503})


def client(socket: str) -> httpx.AsyncClient:
    """A client of the service at this socket."""
    transport = httpx.AsyncHTTPTransport(uds=socket)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30)


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
