"""Handlers that run in processes, which must be able to import them."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from service.jobs.context import JobContext


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


def who(job: JobContext) -> list[Any]:
    """What a handler may know."""
    return [job.id, job.type, job.worker_id, job.attempt]


def asks(name: str, job: JobContext) -> None:
    """Asks its context for something."""
    getattr(job, name)


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


def leaves() -> None:
    """The end of its process, as Python has it."""
    sys.exit("bye")
