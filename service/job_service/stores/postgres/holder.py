"""The jobs that a process holds in a store that it shares: how they come, stay and go."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.limits import NO_LIMITS, Limits
from job_service.jobs.state.model import TERMINAL, Job
from job_service.stores.durable import DurableStore
from job_service.stores.postgres.batch import Batch
from job_service.stores.postgres.word import Word
from job_service.stores.unit_of_work import UnitOfWork
from job_service.telemetry.events import Event, JobMisfit, JobsRecovered

STAYS_SECONDS: Final = 5.0


class Misfit(NamedTuple):
    """A job that this program can't run, how often it was changed before, and why."""

    edits: int
    why: str


class Holder(DurableStore):
    """Holds what it has claimed, and nobody else changes that.

    A job that is due again within `stays_seconds` stays with it; all others that wait are given
    back, and so are those of types with a limit, because they would keep a place from others. So
    is what was claimed ahead and does not start soon, because a long job is in front of it.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        capacity_bytes: int,
        stays_seconds: float,
    ) -> None:
        super().__init__(emit, clock, capacity=capacity, capacity_bytes=capacity_bytes)
        self._stays_seconds = min(stays_seconds, 1e9)  # no later date could be written
        self._misfits: dict[str, Misfit] = {}  # by their ids
        self._type_limits: Mapping[str, Limits] = {}
        self._given: set[str] = set()  # jobs that are given back, as soon as that is kept
        self._is_leaving = False
        self._recovered = 0  # ready jobs, of which is still to be told

    def _tell(self, unit: UnitOfWork) -> None:
        super()._tell(unit)
        if self._recovered:  # told for all at once, because that takes longer than to take one in
            self._say(JobsRecovered(timestamp=self.clock.now(), jobs=self._recovered))
            self._recovered = 0

    def _stays(self, job: Job) -> bool:
        if job.status == "processing":
            return True
        if self._is_leaving or job.id in self._given or job.id in self._misfits:
            return False
        if self._type_limits.get(job.type, NO_LIMITS) != NO_LIMITS:
            return False
        return job.run_at <= self.clock.now() + timedelta(seconds=self._stays_seconds)

    def _let_go_of_given(self, batch: Batch) -> None:
        """Jobs that are to be given back leave memory now, so that nothing else is done to them."""
        for job in batch.given:
            self._given.add(job.id)
            if job.id not in self._jobs:  # it was so when this was tried before
                continue
            self._live.index.drop(job)
            for unit in self._committer.waiting:
                unit.told = [self._without_return(job, told) for told in unit.told]
            self._runner.discard(job)

    def _take_new(self, job: Job) -> None:
        self._live.index.add(job)
        due, job.due_monotonic = job.due_monotonic, None
        self._runner.add(job, None if due is None else due - self.clock.monotonic())

    def _take_claimed(self, job: Job) -> None:
        self._live.restore(job)
        why = self._runner.recover(job)
        if job.ready_monotonic is not None:
            self._recovered += 1
        if why is not None:
            self._emit(self._note_misfit(job.id, job.type, job.edits, why))
            self._give_back([job])

    def _note_misfit(self, job_id: str, job_type: str, edits: int, why: str) -> JobMisfit:
        """Claim the job no more until it was changed."""
        self._misfits[job_id] = Misfit(edits, why)
        now = self.clock.now()
        return JobMisfit(timestamp=now, job_id=job_id, job_type=job_type, error=why)

    def _leave(self) -> None:
        """Give back all that waits, now and from now on."""
        self._is_leaving = True
        if waiting := [job for job in self._live.unfinished() if job.status == "pending"]:
            self._give_back(waiting)

    def _give_back(self, jobs: Sequence[Job]) -> None:
        unit = UnitOfWork()
        unit.jobs = {job.id: job for job in jobs}
        self._committer.add(unit)

    def _do_word(self, job: Job, word: Word) -> None:
        """Do what another process asks for. Raises a JobServiceError if that can't be."""
        if word.edit is not None:
            self._edit(job, word.edit)
        else:
            self._cancel(job, word.reason, word.by, word.expected)
        if word.id is not None:
            job.answered = word.id

    def _write_anew(self, job: Job) -> None:
        """Keep a job that waits as it is, which answers whoever wanted it to be changed."""
        unit = UnitOfWork()
        unit.jobs[job.id] = job
        unit.edited.append(job)
        self._committer.add(unit)

    def _lose(self, job: Job) -> None:
        """Others have the job: it leaves memory, and what runs is interrupted."""
        if job.id in self._jobs:
            self._live.index.drop(job)
        if job.status == "processing":
            attempt = job.attempts[-1]
            if not attempt.is_over:
                attempt.is_over = True
                attempt.interrupt()
        self._runner.lose(job)

    def _call_off_here(self, job: Job, reason: str, by: str | None) -> None:
        """Call off a job, as others have asked for, unless it has ended or left meanwhile."""
        if self._jobs.get(job.id) is job and job.status not in TERMINAL:
            self._call_off(job, reason, by)

    def _jobs_held(self) -> set[str]:
        """The ids of all jobs in memory. What has ended is there until that is kept and told."""
        return {job.id for job in self._jobs}
