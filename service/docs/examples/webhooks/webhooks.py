"""Delivers webhooks: signed, only to hosts that are allowed, and when their receivers like it."""

import hashlib
import hmac
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from job_service import Discard, JobContext, Registry, Retry

registry = Registry()

HOSTS = frozenset(os.environ.get("WEBHOOK_HOSTS", "hooks.example.com").split())
SECRET = os.environ.get("WEBHOOK_SECRET", "only for trying").encode()
LOCAL = ("127.0.0.1", "localhost")


class Webhook(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    event: str
    data: dict[str, Any] = {}

    def __post_init__(self) -> None:
        # Whoever submits another one gets a 400. Without this, anybody who may submit jobs could
        # let the service call whatever it can reach, such as your database.
        parts = urlsplit(self.url)
        if parts.netloc not in HOSTS:
            raise ValueError(f"webhooks may not go to {parts.netloc!r}")
        if parts.scheme != "https" and parts.hostname not in LOCAL:
            raise ValueError("webhooks go by https only")


class TryLater(Exception):
    """The receiver said when it wants to be asked again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the receiver asked for {seconds:g} seconds of peace")
        self.seconds = seconds


def backoff(retry: int, error: BaseException) -> float:
    """As long as the receiver asked for, up to a day; else 5 seconds, 10, 20 … up to an hour."""
    if isinstance(error, TryLater):
        return min(error.seconds, 86_400)
    return min(5.0 * 2 ** (retry - 1), 3_600)


@registry.resource
async def client() -> AsyncIterator[httpx.AsyncClient]:
    # A redirect could lead to a host that is not allowed, so none is followed.
    async with httpx.AsyncClient(timeout=10, follow_redirects=False) as client:
        yield client


@registry.job("webhook", retry=Retry(max_retries=12, backoff=backoff), timeout=30)
async def deliver(webhook: Webhook, client: httpx.AsyncClient, job: JobContext) -> int:
    body = msgspec.json.encode({"id": job.id, "event": webhook.event, "data": webhook.data})
    sent_at = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "Webhook-Id": job.id,  # the same in each attempt, so the receiver knows a second delivery
        "Webhook-Timestamp": sent_at,
        "Webhook-Signature": sign(SECRET, job.id, sent_at, body),
    }
    answer = await client.post(webhook.url, content=body, headers=headers)
    if answer.status_code in (429, 503) and (seconds := retry_after(answer)) is not None:
        raise TryLater(seconds)
    if answer.is_redirect or (answer.is_client_error and answer.status_code not in (408, 425, 429)):
        raise Discard(f"it answered {answer.status_code}, and would do so again")
    answer.raise_for_status()
    job.log.info("webhook_delivered", status=answer.status_code, attempt=job.attempt)
    return answer.status_code


def sign(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    """What proves that a body comes from us, and when; see `receiver.py` for the other side."""
    signed = b".".join((id.encode(), timestamp.encode(), body))
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()


def retry_after(answer: httpx.Response) -> float | None:
    """The seconds that the receiver asks for, which it may give as a date."""
    wanted = answer.headers.get("Retry-After", "")
    if wanted.isdigit():
        return float(wanted)
    try:
        moment = parsedate_to_datetime(wanted)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
