"""The example `webhooks`: what receivers can rely on, over hours that take no time."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from job_service import InvalidPayload, JobDetail
from job_service.testing import assert_completed, assert_failed, run, waits
from tests.examples.conftest import Load

PAYLOAD = {"url": "https://hooks.example.com/shop", "event": "order.paid", "data": {"order": 17}}
HOUR = 3_600

Deliver = Callable[..., Any]


class Receiver:
    """Answers what it is told to, one after the other, and remembers the requests."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx."""
        self.requests.append(request)
        return next(self._answers)


@pytest.fixture
def webhooks(load: Load, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example, with a secret."""
    monkeypatch.setenv("WEBHOOK_SECRET", "sesame")
    return load("webhooks")


async def deliver(webhooks: Any, receiver: Receiver) -> JobDetail:
    """Deliver one webhook to this receiver."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(receiver)) as client:
        return await run(webhooks.registry, "webhook", PAYLOAD, resources={"client": client})


async def test_receivers_can_tell_who_sent_it(webhooks: Any, autojump_clock: object) -> None:
    """By a signature of the id, the time and the body, with a secret that both know."""
    receiver = Receiver(httpx.Response(204))
    job = await deliver(webhooks, receiver)
    assert_completed(job, 204)
    [request] = receiver.requests
    headers = request.headers
    signed = b".".join((job.id.encode(), headers["Webhook-Timestamp"].encode(), request.content))
    wanted = hmac.new(b"sesame", signed, hashlib.sha256).hexdigest()
    assert headers["Webhook-Signature"] == wanted
    assert headers["Webhook-Id"] == job.id


async def test_receivers_say_when_they_want_it_again(webhooks: Any, autojump_clock: object) -> None:
    """In seconds or as a date; without that, the waits double. The id stays the same."""
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    receiver = Receiver(
        httpx.Response(429, headers={"Retry-After": "7200"}),
        httpx.Response(503, headers={"Retry-After": in_an_hour}),
        httpx.Response(429, headers={"Retry-After": "some day"}),
        httpx.Response(500),
        httpx.Response(200),
    )
    job = await deliver(webhooks, receiver)
    assert_completed(job, 200)
    two_hours, an_hour, *others = waits(job)
    assert two_hours == 2 * HOUR
    assert HOUR - 60 < an_hour <= HOUR
    assert others == [20, 40]
    assert {request.headers["Webhook-Id"] for request in receiver.requests} == {job.id}


@pytest.mark.parametrize("status", [400, 404, 410, 302])
async def test_what_would_be_refused_again_is_not_sent_again(
    status: int, webhooks: Any, autojump_clock: object
) -> None:
    """And no redirect is followed."""
    receiver = Receiver(httpx.Response(status, headers={"Location": "http://127.0.0.1/"}))
    job = await deliver(webhooks, receiver)
    assert_failed(job, f"it answered {status}")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/",
        "https://hooks.example.com@evil.example.com/",
        "https://hooks.example.com.evil.example.com/",
        "https://hooks.example.com:22/",
        "http://hooks.example.com/",
        "http://127.0.0.1:8080/",
        "file:///etc/passwd",
    ],
)
def test_other_hosts_are_refused_before_there_is_a_job(url: str, webhooks: Any) -> None:
    """Nobody makes the service call what only the service can reach."""
    with pytest.raises(InvalidPayload, match="webhooks"):
        webhooks.registry.lookup("webhook").check_payload(
            b'{"url": "%s", "event": "order.paid"}' % url.encode()
        )
