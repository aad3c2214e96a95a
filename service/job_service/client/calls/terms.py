"""What all calls of a client have in common: its terms, how requests look, how it waits."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from job_service.client.answers import read
from job_service.client.encoding import header_value, number_text
from job_service.client.exchange import Answer, Conversation, Request
from job_service.client.patience import answered

T = TypeVar("T")

OnProgress = Callable[[T], object] | None
OnUndercount = Callable[[], object] | None

LONGEST_POLL_SECONDS: Final = 30.0  # of the 60 that the service allows, as proxies cut longer ones
LONGEST_PAUSE_SECONDS: Final = 1.0


class Terms:
    """The terms of one client.

    `patience_seconds` is how long a call is repeated in all, and `timeout_seconds` how long the
    service may take for the whole of an answer that needs no waiting.
    """

    def __init__(self, patience_seconds: float, timeout_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self._timeout_seconds = timeout_seconds

    def _read(self, request: Request, kind: Any) -> Conversation[Any]:
        """What a call answers, as this type."""
        answer = yield from self._ask(request)
        return read(answer, kind)

    def _ask(self, request: Request) -> Conversation[Answer]:
        return answered(request, self.patience_seconds)

    def _wait(
        self,
        path: str,
        seconds: float | None,
        read_as: Callable[[Answer], T],
        has_ended: Callable[[T], bool],
    ) -> Conversation[T]:
        """What is at `path`, when it has ended, or after `seconds`. It is asked again and again."""
        left = math.inf if seconds is None else seconds
        pause = 0.0
        while True:
            wait = min(left, LONGEST_POLL_SECONDS)
            query = {"wait": number_text(wait)}
            request = self._get(path, query, wait_seconds=wait, pause_seconds=pause)
            answer = yield from self._ask(request)
            found = read_as(answer)
            left -= answer.seconds
            if has_ended(found) or left <= 0:
                return found
            # A service that ends answers before the time is over.
            pause = min(max(wait - answer.seconds, 0.0), LONGEST_PAUSE_SECONDS, left)

    def _get(
        self,
        path: str,
        query: Mapping[str, str | list[str]] | None = None,
        *,
        wait_seconds: float = 0.0,
        pause_seconds: float = 0.0,
    ) -> Request:
        """A `GET`, whose answer may take `wait_seconds` longer than others."""
        return Request(
            method="GET",
            path=path,
            query=query or {},
            timeout_seconds=self._timeout_seconds + wait_seconds,
            pause_seconds=pause_seconds,
        )

    def _post(
        self,
        path: str,
        body: bytes | None = None,
        key: str | None = None,
        query: Mapping[str, str | list[str]] | None = None,
        wait_seconds: float = 0.0,
        content_type: str = "application/json",
    ) -> Request:
        headers = {} if body is None else {"Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = header_value(key, "an idempotency key")
        return Request(
            method="POST",
            path=path,
            query=query or {},
            headers=headers,
            body=body,
            timeout_seconds=self._timeout_seconds + wait_seconds,
        )


def given(**query: str | int | None) -> dict[str, str]:
    """Those parameters of a query that have a value, as text."""
    return {name: str(value) for name, value in query.items() if value is not None}
