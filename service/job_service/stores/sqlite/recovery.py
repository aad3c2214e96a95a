"""Reads the jobs that have not ended, and finds out what has become of what they wait for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from job_service.jobs.state.dependencies import failed_dependency
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Job
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import job_of, summarized

PORTION: Final = 500  # jobs, before others have their turn


@dataclass(slots=True)
class Found:
    """Jobs that somebody had in hand, and pairs of a job and one that it can't follow any more."""

    in_hand: list[Job] = field(default_factory=list)
    bereft: list[tuple[Job, Job]] = field(default_factory=list)


async def take_in(file: FileThread, live: LiveJobs, tell: Callable[[int], None]) -> Found:
    """Take all jobs that have not ended into the live ones; `tell` how many they are so far."""
    found, jobs = Found(), 0
    portions = await file.call(JobFile.unfinished, PORTION)
    while kept := await file.call(lambda _: next(portions, None)):
        restored = [job_of(each) for each in kept]
        ended = await _ended_predecessors(file, live, restored)
        for job in restored:
            predecessors = [
                other
                for each in job.after
                if (other := live.index.jobs.get(each) or ended.get(each))
            ]
            if job.status == "processing":
                found.in_hand.append(job)
            failed = failed_dependency(predecessors)
            if failed is not None:
                found.bereft.append((job, failed))
            live.restore(job, [] if failed else predecessors)
        jobs += len(restored)
        tell(jobs)
    return found


async def _ended_predecessors(
    file: FileThread, live: LiveJobs, jobs: Sequence[Job]
) -> dict[str, Job]:
    """Those predecessors of these jobs that have ended and are still kept.

    One that is kept no more has completed: else it would have had these jobs fail with it.
    """
    here = {job.id for job in jobs}
    wanted = {each for job in jobs for each in job.after if each not in here}
    missing = [each for each in wanted if live.index.jobs.get(each) is None]
    if not missing:
        return {}
    rows = await file.call(JobFile.summaries, missing)
    return {job_id: summarized(row) for job_id, row in rows.items()}
