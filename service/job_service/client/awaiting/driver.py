"""Carries conversations out: one request after the other, as awaits of httpx."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

import anyio
import httpx

from job_service.client.address import find_service
from job_service.client.calls import Calls
from job_service.client.exchange import Answer, Conversation, NoAnswer, Request
from job_service.client.httpx_messages import (
    LIMITS,
    answer_of,
    arguments_of,
    no_answer_of,
    opened,
    seconds_for,
    too_slow,
)

T = TypeVar("T")


class Driver:
    """A connection to one service, and the calls that it knows."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        patience_seconds: float = 30.0,
        timeout_seconds: float = 10.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        address = find_service(url, token)
        self.url = address.url
        self._calls = Calls(patience_seconds, timeout_seconds)
        transport = None
        if address.socket is not None:
            transport = httpx.AsyncHTTPTransport(uds=address.socket, verify=False, limits=LIMITS)
        self._http = opened(httpx.AsyncClient, address, transport, ssl_context)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _run(self, conversation: Conversation[T]) -> T:
        try:
            request = next(conversation)
            while True:
                request = conversation.send(await self._take(request))
        except StopIteration as ending:
            result: T = ending.value
            return result

    async def _take(self, request: Request) -> Answer | NoAnswer:
        began = time.monotonic()
        if request.pause_seconds:
            await anyio.sleep(request.pause_seconds)
        try:
            with in_time_for(request):
                response = await self._http.request(**arguments_of(request))
        except httpx.RequestError as error:
            return no_answer_of(error, self.url, time.monotonic() - began)
        return answer_of(response, response.content, time.monotonic() - began)


@contextmanager
def in_time_for(request: Request) -> Iterator[None]:
    """Raise httpx.ReadTimeout if the block takes longer than the request may."""
    with anyio.move_on_after(seconds_for(request)) as scope:
        yield
    if scope.cancelled_caught:
        raise too_slow(request)
