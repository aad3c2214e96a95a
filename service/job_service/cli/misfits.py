"""Counts the jobs that a program can't run, by the reason, and tells of them in a command."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

_SHOWN: Final = 20  # kinds of misfits


class Misfits(Struct):
    """The `jobs` of one type that a program can't run for the same reason; one is `example`."""

    type: str
    error: str
    jobs: int
    example: str


class MisfitCount:
    """Counts them, one after the other."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Misfits] = {}

    def add(self, job_type: str, why: str, job_id: str, jobs: int = 1) -> None:
        """This job does not fit, nor do others of which there are `jobs` with it."""
        first = Misfits(job_type, why, 0, job_id)
        self._found.setdefault((job_type, why), first).jobs += jobs

    def all(self) -> list[Misfits]:
        """The most frequent first."""
        return sorted(self._found.values(), key=lambda misfits: -misfits.jobs)


def lines_of_misfits(found: Sequence[Misfits]) -> Iterator[str]:
    """A line for each reason."""
    for misfits in found[:_SHOWN]:
        jobs = "1 job" if misfits.jobs == 1 else f"{misfits.jobs:,} jobs"
        yield f"misfit: {jobs} of type {misfits.type}, such as {misfits.example}: {misfits.error}"
    if len(found) > _SHOWN:
        yield "misfit: there are more kinds; --json shows them all"
