"""Handlers that run in processes, which must be able to import them."""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from job_service import Discard, JobContext, Snooze
from job_service.jobs.registration.context import facts_of


class Square(msgspec.Struct):
    """A payload."""

    side: int


class Picky(Exception):
    """An error that is not made of its message alone."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


def area(square: Square) -> int:
    """The area of a square."""
    return square.side**2


def process_id() -> int:
    """Which process it runs in."""
    return os.getpid()


def who(job: JobContext) -> dict[str, Any]:
    """What a handler may know."""
    return facts_of(job)._asdict()


def second_time(job: JobContext) -> int:
    """Fails at first."""
    if job.attempt == 1:
        raise LookupError("not yet")
    return job.attempt


def tells(job: JobContext) -> None:
    """Says how it goes, and fails."""
    job.log.debug("too_fine_for_the_log")
    job.log.info("began", size=3, path=Path("/srv"), text="100 % \ud800")
    job.progress(3, 10, "reading")
    job.log.bind(part="second").warning("%d left", 2)
    try:
        raise ValueError("no")
    except ValueError:
        job.log.exception("failed")
    job.log.info("long", text="x" * 1_000_000)


def chatty(lines: int, job: JobContext) -> None:
    """Says more than a socket holds."""
    for n in range(lines):
        job.log.info("step", n=n)


def says_and_dies(job: JobContext) -> None:
    """Says a last word."""
    job.log.info("farewell")
    os._exit(3)


def opened() -> Iterator[dict[str, Any]]:
    """A resource of processes: where it was opened, and a file that tells when it is closed."""
    pool: dict[str, Any] = {"pid": os.getpid(), "uses": 0, "closes": None}
    yield pool
    if pool["closes"] is not None:
        Path(pool["closes"]).write_text("closed")


@contextmanager
def broken() -> Iterator[None]:
    """A resource that can't be opened."""
    raise OSError("no server")
    yield


def uses(closes: str, opened: dict[str, Any]) -> list[int]:
    """Uses the resource."""
    opened["closes"] = closes
    opened["uses"] += 1
    return [opened["pid"], opened["uses"], os.getpid()]


def needs(broken: None) -> None:
    """Can't have what it takes."""


def spin(path: str) -> None:
    """Says where it runs, and never ends by itself."""
    unfinished = Path(path + ".new")
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(path)
    while True:
        time.sleep(0.001)


def raises() -> None:
    """An error like any other."""
    raise ValueError("no luck")


def raises_picky() -> None:
    """An error that pickle alone would not bring back."""
    raise Picky("this", "that")


def raises_unreadable() -> None:
    """An error that stays in its process."""
    raise ValueError(lambda: None)


def returns_unreadable() -> object:
    """A result that stays in its process."""
    return lambda: None


def returns_a_complex_number() -> complex:
    """A result that is no JSON."""
    return 1j


def exits() -> None:
    """The end of its process, without a word."""
    os._exit(3)


def is_killed() -> None:
    """As by the kernel, where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def crashes() -> None:
    """As native code does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def raises_no_exception() -> None:
    """As asyncio does where a task is cancelled."""
    raise asyncio.CancelledError


def interrupts(alone: bool) -> None:
    """As Ctrl-C would, which can't reach it."""
    raise KeyboardInterrupt if alone else BaseExceptionGroup("g", [KeyboardInterrupt("inside")])


def uses_a_pool() -> list[int]:
    """Has others compute."""
    with multiprocessing.Pool(2) as workers:
        return workers.map(abs, [-1, -2])


def uses_an_executor() -> list[int]:
    """As others do."""
    with ProcessPoolExecutor(2) as workers:
        return list(workers.map(abs, [-1, -2]))


def _sleep() -> None:
    time.sleep(60)


def stops_a_child() -> int | None:
    """How a child ends that is terminated as soon as it is started."""
    child = multiprocessing.get_context("fork").Process(target=_sleep)
    child.start()
    child.terminate()
    child.join(10)
    return child.exitcode


def spins_in_a_child(path: str) -> None:
    """Says where, and never ends."""
    child = multiprocessing.get_context("fork").Process(target=spin, args=(path,))
    child.start()
    child.join()


def says(what: str) -> None:
    """What libraries say, in all places."""
    log = logging.getLogger("lib")
    log.info("not worth a line")
    log.warning("%s", what)
    try:
        raise ValueError(what)
    except ValueError:
        log.exception("failed with %s", what)
    log.warning("with a strange error", exc_info=("strange",))  # type: ignore[arg-type]  # on purpose
    child = multiprocessing.get_context("fork").Process(target=log.error, args=("from a child",))
    child.start()
    child.join()
    thread = threading.Thread(target=lambda: 1 / 0, name="helper")
    thread.start()
    thread.join()


TENANT = ContextVar("TENANT", default="nobody")


def sets_a_variable() -> str:
    """And tells what it was before."""
    before = TENANT.get()
    TENANT.set("acme")
    return before


def leaves() -> None:
    """The end of its process, as Python has it."""
    sys.exit("bye")


class Busy(OSError):
    """An error that says when to come back."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what)
        self.seconds = seconds


class NoCustomer(Discard):
    """A Discard that is not made of its message alone."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"customer {number}: {why}")


def unreadable() -> ValueError:
    """An error that can't leave its process."""
    return ValueError(lambda: None)


def discards() -> None:
    """Gives its job up."""
    raise Discard("no such customer")


def discards_in_its_own_words() -> None:
    """Gives its job up, with a type of its own."""
    raise NoCustomer(7, "moved away")


def discards_in_a_group() -> None:
    """Gives its job up, beside another error."""
    raise ExceptionGroup("both", [ValueError("beside it"), Discard("no such customer")])


def discards_because_of() -> None:
    """Gives its job up for an error that can't leave its process."""
    raise Discard("no such customer") from unreadable()


def discards_unreadably() -> None:
    """Gives its job up with something that can't leave its process."""
    raise Discard("no such customer", lambda: None)


def snoozes(mark: str) -> None:
    """Comes back once."""
    if not Path(mark).exists():
        Path(mark).touch()
        raise Snooze(0.01)


def snoozes_in_a_group(mark: str) -> None:
    """Comes back once, twice over."""
    if not Path(mark).exists():
        Path(mark).touch()
        raise ExceptionGroup("both", [Snooze(0), ExceptionGroup("one", [Snooze(0.01)])])


def snoozes_because_of(mark: str) -> None:
    """Comes back once, for an error that can't leave its process."""
    try:
        raise unreadable()
    except ValueError:
        snoozes(mark)


def snoozes_unreadably(mark: str) -> None:
    """Comes back once, with something that can't leave its process."""
    try:
        snoozes(mark)
    except Snooze as snooze:
        snooze.add_note("later")
        vars(snooze)["why"] = lambda: None
        raise


def is_busy() -> None:
    """Fails, and says for how long."""
    raise Busy("too many requests", 7.5)


def misses_a_file() -> None:
    """Fails in a way that is a special case of another."""
    raise FileNotFoundError(2, "no such file", "customers.csv")


def fails_because_of() -> None:
    """Fails for an error that can't leave its process."""
    raise ConnectionError("reset") from unreadable()


def fails_because_of_in_a_group() -> None:
    """As above, twice."""
    try:
        fails_because_of()
    except ConnectionError as error:
        raise ExceptionGroup("both", [error, TimeoutError("slow")]) from unreadable()


@dataclass
class Scale:
    """What can be called, goes there as a copy, and has no hash."""

    factor: int

    def __call__(self, n: int) -> int:
        """Scale it."""
        return self.factor * n

    def scale(self, n: int, job: JobContext) -> int:
        """Scale it, too."""
        return self.factor * n * job.attempt


def multiply(factor: int, n: int) -> int:
    """What can be settled in part."""
    return factor * n


scale = Scale(3)
