"""The dispatcher as stores know it: what they tell it of jobs, and what they ask of it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from job_service.jobs.state import live_jobs
from job_service.jobs.state.limits import Limits
from job_service.jobs.state.model import Job


class TypeBacklog(NamedTuple):
    """The pending jobs of one type in this process.

    `not_ready` ones are not due yet or unfit. `oldest_ready` is when the job that has waited
    longest for a worker became ready, on the monotonic clock. It is None if none waits, or if too
    many others come before it to look at. `starts_per_second` is how many begin here at present.
    """

    not_ready: int = 0
    oldest_ready: float | None = None
    starts_per_second: float = 0.0


class BacklogView(NamedTuple):
    """What holds back the pending jobs of this process, beside other jobs.

    `later` ones are not due yet, and `unfit` ones could start in a program that can run them.
    `types` has each type of which there is anything to tell.
    """

    paused: bool = False
    paused_types: Sequence[str] = ()
    later: int = 0
    unfit: int = 0
    types: Mapping[str, TypeBacklog] = MappingProxyType({})


class Demand(NamedTuple):
    """What a runner could start, of what others have left to a store that it shares.

    `workers` are free, and `waiting` jobs that it holds are ready for them. `limits` has the job
    types that it can run, each with what bounds its jobs, wherever they run.
    """

    workers: int = 0
    waiting: int = 0
    limits: Mapping[str, Limits] = MappingProxyType({})


class Runner(live_jobs.JobReceiver, Protocol):
    """Who brings the jobs of a store to workers. Nothing here may wait."""

    def recover(self, job: Job, /) -> str | None:
        """A pending job comes in from what is kept.

        If `job.awaits` is None, it waits for nothing but its time and a worker. If it is ready
        then, that is for the store to tell, because a start may bring in a million. Returns why
        this program can't run it: it may be of a type that the program does not have, or no longer
        fit its type. None if it can.
        """

    def take_back(self, job: Job, /) -> bool:
        """The pending job, which awaits no other, is not to start until it is added again.

        False if it can't be taken back, because a worker is about to begin it.
        """

    def lose(self, job: Job, /) -> None:
        """The job is somebody else's, whatever this program has made of it."""

    def hold(self, why: str | None, /) -> None:
        """Start no job for this reason, beside all pauses; None takes it back."""

    def pause(self, job_type: str | None, /) -> bool:
        """Start no job, or none of this type, until `resume`; whether that is new."""

    def resume(self, job_type: str | None, /) -> bool:
        """Take back a pause of the same kind; whether there was one."""

    def why_it_waits(self, job: Job, /) -> str:
        """Why a pending job is not running now, in one sentence."""

    def demand(self) -> Demand:
        """What it could start now, beside what it holds."""

    def view(self) -> BacklogView:
        """What holds its pending jobs back."""
