"""Handlers that give away their payload in each way that there is."""

import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import trio

from job_service.jobs.registration.retry import Retry
from job_service.jobs.state.detail import JobDetail


class Card(msgspec.Struct, forbid_unknown_fields=True):
    """A payload that looks at itself, and says what it has seen."""

    number: str
    months: int = 12
    kind: Literal["debit", "credit"] = "debit"

    def __post_init__(self) -> None:
        if self.number.startswith("bad"):
            raise ValueError(f"Expected a number, got {self.number}")


async def echo(payload: Card) -> str:
    """Return it, which is no error."""
    return f"paid with {payload.number}"


async def raises(payload: Card) -> None:
    """Say it in an error."""
    raise ValueError(payload.number)


def looks_up(payload: Card) -> object:
    """Say it in the error of a library, in a thread."""
    known: dict[str, object] = {}
    return known[payload.number]


async def chains(payload: Card) -> None:
    """Say it in the cause of an error, and in a note."""
    try:
        int(payload.number)
    except ValueError as error:
        error.add_note(payload.number)
        raise RuntimeError("can't pay with it") from error


async def groups(payload: Card) -> None:
    """Say it in a group, and in each of its errors."""
    raise ExceptionGroup(payload.number, [KeyError(payload.number), OSError(payload.number)])


async def on_asyncio(payload: Card) -> None:
    """Say it on another loop."""
    raise ValueError(payload.number)


def in_process(payload: Card) -> None:
    """Say it in another process."""
    raise ValueError(payload.number)


class _Picky(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


def unreadable(payload: Card) -> None:
    """Say it in another process, in an error that can't be brought back from there."""
    raise _Picky(payload.number, "no")


async def unwritable(payload: Card) -> object:
    """Return it with what JSON can't carry."""
    return {payload.number: object()}


async def late(payload: Card) -> None:
    """Say it when the time is over."""
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError(payload.number)


def abandoned(payload: Card) -> None:
    """Say it when nobody waits for it any more."""
    time.sleep(0.2)
    raise ValueError(payload.number)


async def endless(payload: Card) -> None:
    """Say it when it is cancelled."""
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError(payload.number)


def backoff(_: int, error: BaseException) -> float:
    """Say in another error what the first one said."""
    raise LookupError(str(error))


async def again(payload: Card) -> None:
    """Say it once more in a retry."""
    raise ValueError(payload.number)


def whose(payload: Card) -> str:
    """Say whose job it is, or in an error that nobody knows."""
    if payload.number.startswith("no"):
        raise LookupError(payload.number)
    return payload.number


async def rationed(payload: Card) -> None:
    """Keep all others of its key waiting."""
    await trio.sleep_forever()


async def report(job: JobDetail, error: BaseException) -> None:
    """Say it in the error of a hook."""
    raise RuntimeError(f"{error} {bytes(job.payload)!r}")


# Each handler, and the terms that it needs.
HANDLERS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    *((handler, {}) for handler in (echo, raises, looks_up, chains, groups, unwritable, endless)),
    (on_asyncio, {"runs_in": "asyncio"}),
    (in_process, {"runs_in": "process"}),
    (unreadable, {"runs_in": "process"}),
    (rationed, {"per": whose, "concurrency": 1}),
    (late, {"timeout": 0.1}),
    (abandoned, {"timeout": 0.05}),
    (again, {"retry": Retry(max_retries=1, backoff=backoff, base_seconds=0)}),
]
