"""Reads the jobs that have not ended, finds out what they still wait for, and brings them back."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import trio

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.dependencies import failed_dependency
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Job
from job_service.jobs.state.stand_in import StandIn
from job_service.stores.record import put_in_hand
from job_service.stores.runner import Runner
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import group_of, readable, stands_for, summarized
from job_service.stores.sqlite.rows import KeptJob
from job_service.stores.sqlite.start_log import Begun
from job_service.telemetry.events import Event, JobMisfit, JobsRecovered, StoreOpening

PORTION: Final = 500  # jobs, before others have their turn
TELL_EVERY_SECONDS: Final = 1.0


@dataclass(slots=True)
class Found:
    """Jobs that somebody had in hand, and pairs of a job and one that it can't follow any more.

    `waiting` is how many of each type have not ended.
    """

    waiting: Counter[str] = field(default_factory=Counter)
    in_hand: list[Job] = field(default_factory=list)
    unreadable_in_hand: int = 0  # beside them
    bereft: list[tuple[Job, Job]] = field(default_factory=list)


async def take_in(
    file: FileThread, live: LiveJobs, begun: Mapping[str, Begun], tell: Callable[[int], None]
) -> Found:
    """Take the jobs that have not ended into the live ones, whose groups are there already.

    `begun` has attempts that may not be kept, by the id of their job. `tell` is told how many jobs
    there are so far.
    """
    found, followers, jobs = Found(), list[Job](), 0
    portions = await file.call(JobFile.unfinished, PORTION)
    while kept := await file.call(lambda _: next(portions, None)):
        portion = await _jobs_of(file, kept, found)
        found.waiting.update(job.type for job in portion)
        for job in portion:
            last = None if isinstance(job, StandIn) else begun.get(job.id)
            if last is not None and last.number > job.runs:
                put_in_hand(job, last.number, last.worker_id, last.started_at)
            if job.status == "processing":
                found.in_hand.append(job)
            if job.after:
                followers.append(job)
            live.restore(job)
        jobs += len(kept)
        tell(jobs)
    # Not before all are here: if the clock was set back, a job is read before those it follows.
    for start in range(0, len(followers), PORTION):
        await _let_follow(file, live, followers[start : start + PORTION], found)
    return found


async def take_in_groups(file: FileThread, live: LiveJobs) -> Sequence[ValueError]:
    """Take the groups that have not ended into the live ones; why others can't be read.

    The jobs of those run without them.
    """
    errors = list[ValueError]()
    for kept in await file.call(JobFile.unended_groups):
        try:
            group, standing = group_of(kept)
        except ValueError as error:
            errors.append(error)
        else:
            live.groups.restore(group, standing)
    return errors


async def _jobs_of(file: FileThread, kept: Sequence[KeptJob], found: Found) -> Collection[Job]:
    """The jobs of these rows. Those whose records can't be read wait, even if they ran."""
    jobs, failures = readable(kept)
    if failures:
        rows = await file.call(JobFile.beside_records, list(failures))
        if ran := [row.id for row in rows if row.status == "processing"]:
            await file.call(JobFile.let_wait, ran)
            found.unreadable_in_hand += len(ran)
        for row in rows:
            jobs[row.id] = stands_for(row._replace(status="pending"), failures[row.id])
    return jobs.values()


def how_far(say: Callable[[Event], None], clock: Clock, store: str) -> Callable[[int], None]:
    """A function that takes how many jobs are read so far, and says so every second."""
    told_at = clock.monotonic()

    def tell(jobs: int) -> None:
        nonlocal told_at
        if clock.monotonic() >= told_at + TELL_EVERY_SECONDS:
            told_at = clock.monotonic()
            say(StoreOpening(timestamp=clock.now(), store=store, jobs_read=jobs))

    return tell


async def bring_back(
    live: LiveJobs, runner: Runner, say: Callable[[Event], None], clock: Clock
) -> None:
    """Bring all pending jobs to the runner, and say which of them it can't run."""
    unfinished = live.unfinished()
    while portion := list(islice(unfinished, PORTION)):
        for job in portion:
            why = runner.recover(job)
            if why is not None:
                say(JobMisfit(timestamp=clock.now(), job_id=job.id, job_type=job.type, error=why))
        ready = sum(job.ready_monotonic is not None for job in portion)
        say(JobsRecovered(timestamp=clock.now(), jobs=ready))
        await trio.lowlevel.checkpoint()


async def _let_follow(
    file: FileThread, live: LiveJobs, followers: Sequence[Job], found: Found
) -> None:
    """Let these jobs await those of their predecessors that have not ended."""
    ended = await _ended_predecessors(file, live, followers)
    for job in followers:
        predecessors = [
            other for each in job.after if (other := live.index.jobs.get(each) or ended.get(each))
        ]
        failed = failed_dependency(predecessors)
        if failed is None:
            live.dependencies.add(job, predecessors)
        else:
            found.bereft.append((job, failed))


async def _ended_predecessors(
    file: FileThread, live: LiveJobs, jobs: Sequence[Job]
) -> dict[str, Job]:
    """Those predecessors of these jobs that have ended and are still kept.

    One that is kept no more has completed: else it would have had these jobs fail with it.
    """
    wanted = {each for job in jobs for each in job.after}
    missing = [each for each in wanted if live.index.jobs.get(each) is None]
    if not missing:
        return {}
    rows = await file.call(JobFile.summaries, missing)
    return {job_id: summarized(row) for job_id, row in rows.items()}
