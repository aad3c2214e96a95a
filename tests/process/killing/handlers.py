"""Job types that write down what they do. A copy of this module lies beside the services' file.

Nothing is lost of what a process has written before it is killed: each line is one write.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import trio

from job_service import Discard, JobContext, Registry, Retry, Snooze

LEDGER = "handlers.ledger"
CRON = "minute"
INTERVAL = "tick"
INTERVAL_SECONDS = 0.7
PARENT = os.getppid()  # which may be gone when a handler ends
SOON = Retry(max_retries=50, base_seconds=0.02, factor=1)


class Work(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job is to do; `key` and `index` say which request it is of."""

    key: str
    index: int = 0
    seconds: float = 0.0
    snoozes: int = 0  # its first attempts, so many of them
    failures: int = 0  # the next ones
    is_hopeless: bool = False


class Entry(msgspec.Struct, frozen=True):
    """One line of the ledger: `what` is begin, or how the handler ended."""

    what: str
    job_id: str
    attempt: int
    at: int  # nanoseconds, of the monotonic clock that all processes of a machine share
    pid: int
    parent: int  # the service, if the handler runs in a process


def write(what: str, job: JobContext) -> None:
    """Add a line."""
    entry = Entry(what, job.id, job.attempt, time.monotonic_ns(), os.getpid(), PARENT)
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(ledger, msgspec.json.encode(entry) + b"\n")
    finally:
        os.close(ledger)


@contextmanager
def written_down(job: JobContext) -> Iterator[None]:
    """Write down that it begins and how it ends."""
    write("begin", job)
    try:
        yield
    except BaseException as error:
        write(type(error).__name__, job)
        raise
    write("returned", job)


def outcome(work: Work, attempt: int) -> str:
    """What the attempt returns, or raises."""
    if work.is_hopeless:
        raise Discard("hopeless")
    if attempt <= work.snoozes:
        raise Snooze(0.02)
    if attempt <= work.snoozes + work.failures:
        raise RuntimeError("once more")
    return f"{work.key}/{work.index}"


async def on_the_loop(work: Work, job: JobContext) -> str:
    """Wait on the loop."""
    with written_down(job):
        await trio.sleep(work.seconds)
        return outcome(work, job.attempt)


async def blocking_the_loop(work: Work, job: JobContext) -> str:
    """Let nothing else happen on the loop meanwhile."""
    return beside_the_loop(work, job)


def beside_the_loop(work: Work, job: JobContext) -> str:
    """Wait in a thread or a process."""
    with written_down(job):
        time.sleep(work.seconds)
        return outcome(work, job.attempt)


class Place(msgspec.Struct, frozen=True):
    """Where to go, and not what to do."""

    name: str


async def to_a_place(place: Place, job: JobContext) -> None:
    """Go there."""
    with written_down(job):
        await trio.lowlevel.checkpoint()


async def at_a_time(job: JobContext) -> None:
    """Be the job of a schedule."""
    with written_down(job):
        await trio.sleep(0.01)


async def kill_from_the_loop() -> None:
    """Kill the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_from_a_thread() -> None:
    """Kill the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_from_a_process() -> None:
    """Kill the service, which has started this process."""
    os.kill(os.getppid(), signal.SIGKILL)


types = Registry()
types.job("loop", retry=SOON)(on_the_loop)
types.job("thread", retry=SOON)(beside_the_loop)
types.job("process", retry=SOON, runs_in="process", concurrency=2)(beside_the_loop)
types.job("limited", retry=SOON, concurrency=1)(on_the_loop)
types.job("block", retry=SOON)(blocking_the_loop)
types.job("kill_from_loop")(kill_from_the_loop)
types.job("kill_from_thread")(kill_from_a_thread)
types.job("kill_from_process", runs_in="process")(kill_from_a_process)

errands = Registry()
errands.job("errand", retry=SOON)(on_the_loop)

other_errands = Registry()  # those of another version, which takes another payload
other_errands.job("errand", retry=SOON)(to_a_place)


def with_schedules(*registries: Registry) -> Registry:
    """All that these have, and the schedules."""
    registry = Registry()
    for each in registries:
        registry.include(each)
    registry.every(seconds=INTERVAL_SECONDS, overlap=True, name=INTERVAL)(at_a_time)
    registry.cron("* * * * *", overlap=True, name=CRON)(at_a_time)
    return registry


registry = with_schedules(types, errands)
without_errands = with_schedules(types)
with_other_errands = with_schedules(types, other_errands)

without_schedules = Registry()  # which can still run what they have made
without_schedules.include(types)
without_schedules.include(errands)
for name in (INTERVAL, CRON):
    without_schedules.job(name)(at_a_time)
