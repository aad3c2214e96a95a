"""What one transaction writes of the jobs that this process holds, and which it has lost."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import UNSET

from job_service.jobs.state.limits import NO_LIMITS, Limits
from job_service.jobs.state.model import TERMINAL, Job
from job_service.stores.postgres.node import NodeId
from job_service.stores.postgres.rows import changing, editing, finishing
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.usage import note_starts
from job_service.stores.unit_of_work import Call, UnitOfWork
from job_service.telemetry.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobEvent,
    JobFailed,
    JobLost,
    JobReleased,
    JobRetried,
    JobSnoozed,
    JobsReleased,
)

_ENDS: Final = (JobCompleted, JobFailed, JobCancelled, JobReleased, JobRetried, JobSnoozed)


class Written(NamedTuple):
    """The ids of jobs that this process has lost, and the ended ones that others await.

    `members` are the ended jobs of groups. `called_off` have not ended, and others want that, each
    for a reason, and who.
    """

    lost: set[str]
    awaited: Sequence[Job]
    members: Sequence[Job]
    called_off: Mapping[str, tuple[str, str | None]]


class Batch:
    """The jobs that some units have changed, as they are now, but for those that are `lost`.

    `stays` says of one that waits whether this process goes on to hold it. `asks` are what else the
    units want of the database. `limits` are those of job types, whose starts may have to be kept.
    """

    def __init__(
        self,
        units: Sequence[UnitOfWork],
        node: NodeId,
        stays: Callable[[Job], bool],
        lost: Collection[str] = (),
        limits: Mapping[str, Limits] = MappingProxyType({}),
    ) -> None:
        self.units = units
        self.jobs: dict[str, Job] = {}
        for unit in units:
            self.jobs |= unit.jobs
        written = [job for job in self.jobs.values() if job.id not in lost]
        self.ended = [job for job in written if job.status in TERMINAL]
        waiting = [(job, stays(job)) for job in written if job.status not in TERMINAL]
        self.given = [job for job, stays in waiting if not stays]
        self.asks = [item for unit in units for item in unit.beside if item is not None]
        self._rated = [
            job for job in written if job.attempts and limits.get(job.type, NO_LIMITS).starts
        ]
        self._limits = limits
        edited = {job.id for unit in units for job in unit.edited}
        edited_jobs = [job for job in written if job.id in edited]
        self._editing = editing(edited_jobs, node) if edited_jobs else None
        self._finishing = finishing(self.ended, node) if self.ended else None
        self._changing = changing(waiting, node) if waiting else None

    async def write(self, tx: Transaction) -> Written:
        """Write them."""
        if self._rated and (starts := note_starts(self._rated, self._limits, tx.now)) is not None:
            await tx.do(starts)
        if self._editing:
            await tx.do(self._editing)
        ended = dict[str, bool](await tx.do(self._finishing)) if self._finishing else {}
        waiting = await tx.do(self._changing) if self._changing else []
        return Written(
            lost=self.jobs.keys() - ended.keys() - {row[0] for row in waiting},
            awaited=[job for job in self.ended if ended.get(job.id)],
            members=[job for job in self.ended if job.group is not None and job.id in ended],
            called_off={
                job_id: (reason, by) for job_id, reason, by in waiting if reason is not None
            },
        )


def strike(units: Sequence[UnitOfWork], job: Job, now: datetime) -> None:
    """What the first of these units says of the end of an attempt of this job is not true.

    It says instead that the attempt is lost, and nothing is said of the job after that. The last
    unit says it if none tells of the job.
    """
    word: Event | None = None
    for unit in units:
        told = list[Event | Call]()
        for each in unit.told:
            if not _is_of(job, each):
                told.append(each)
            elif word is None and isinstance(each, _ENDS):
                word = _loss(job, each, now)
                told.append(word)
            elif word is None and not isinstance(each, tuple):
                told.append(each)
        unit.told = told
        unit.jobs.pop(job.id, None)
        unit.ended = [each for each in unit.ended if each is not job]
    if word is None:
        units[-1].told.append(_loss(job, None, now))


def released(job: Job, now: datetime) -> JobsReleased:
    """This process gives back a job that waits."""
    return JobsReleased(timestamp=now, jobs=1, ready=int(job.ready_monotonic is not None))


def _loss(job: Job, end: JobEvent | None, now: datetime) -> Event:
    worker_id, attempt = getattr(end, "worker_id", UNSET), getattr(end, "attempt", UNSET)
    if end is None and job.status == "processing":
        worker_id, attempt = job.attempts[-1].worker_id, job.attempts[-1].number
    if worker_id is UNSET or attempt is UNSET:  # it waited
        return released(job, now)
    return JobLost(
        timestamp=now, job_id=job.id, job_type=job.type, worker_id=worker_id, attempt=attempt
    )


def _is_of(job: Job, told: Event | Call) -> bool:
    if isinstance(told, tuple):
        return told[1] is job
    return isinstance(told, JobEvent) and told.job_id == job.id
