"""Carries conversations out: one request after the other, as blocking calls of httpx."""

import ssl
import time
from typing import Self, TypeVar

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
            transport = httpx.HTTPTransport(uds=address.socket, verify=False, limits=LIMITS)
        self._http = opened(httpx.Client, address, transport, ssl_context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _run(self, conversation: Conversation[T]) -> T:
        try:
            request = next(conversation)
            while True:
                request = conversation.send(self._take(request))
        except StopIteration as ending:
            result: T = ending.value
            return result

    def _take(self, request: Request) -> Answer | NoAnswer:
        began = time.monotonic()
        if request.pause_seconds:
            time.sleep(request.pause_seconds)
        deadline = time.monotonic() + seconds_for(request)
        try:
            with self._http.stream(**arguments_of(request)) as response:
                body = read_whole(response, request, deadline)
        except httpx.RequestError as error:
            return no_answer_of(error, self.url, time.monotonic() - began)
        return answer_of(response, body, time.monotonic() - began)


def read_whole(response: httpx.Response, request: Request, deadline: float) -> bytes:
    """The body of the answer to a request. Raises httpx.ReadTimeout if it is not here in time."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if time.monotonic() > deadline:
            raise too_slow(request)
    return bytes(body)
