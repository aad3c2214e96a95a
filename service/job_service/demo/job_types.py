"""The job types of a service that is given none: to try it out, to test it, and to show it."""

from typing import Annotated, Any

import trio
from msgspec import Meta, Struct

from job_service import JobContext, Registry

registry = Registry()


class Sleep(Struct, forbid_unknown_fields=True):
    """How long to sleep, up to a day."""

    seconds: Annotated[float, Meta(ge=0, le=86_400)]


class Flaky(Struct, forbid_unknown_fields=True):
    """How many attempts fail before one succeeds."""

    failures: Annotated[int, Meta(ge=0)]


class Text(Struct, forbid_unknown_fields=True):
    """What to count the words of."""

    text: str


@registry.job("echo")
async def echo(payload: Any) -> Any:
    """Return the payload."""
    return payload


@registry.job("sleep")
async def sleep(payload: Sleep) -> None:
    """Take some time."""
    await trio.sleep(payload.seconds)


@registry.job("fail")
async def fail(payload: Any) -> None:  # noqa: ARG001
    """Fail, every time."""
    raise RuntimeError("this job type always fails")


@registry.job("flaky")
async def flaky(payload: Flaky, job: JobContext) -> str:
    """Fail the first attempts, and then complete."""
    if job.attempt <= payload.failures:
        raise RuntimeError(f"attempt {job.attempt} of {payload.failures} that fail")
    return f"completed on attempt {job.attempt}"


@registry.job("count_words")
def count_words(payload: Text) -> int:
    """Count words; a plain function, so it runs in a thread."""
    return len(payload.text.split())
