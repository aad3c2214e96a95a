"""A client who does anything, and objects to any answer but the one that there must be."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import trio
import trio.testing
from hypothesis import note

from job_service.errors import (
    AlreadyFinished,
    NotFinished,
    NotPending,
    QueueClosed,
    QueueFull,
    UnknownJob,
    UnknownPredecessor,
    WaitsForJobs,
)
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.state.detail import JobSummary
from tests.conftest import Rig
from tests.jobs.ledger import READY, RUNS, WAITS, Ledger
from tests.jobs.steps import ENDINGS
from tests.jobs.strategies import (
    Cancel,
    CancelAll,
    Change,
    Pause,
    Repeat,
    Resume,
    RunAgain,
    RunNow,
    Step,
    Submission,
    Submit,
    TimePasses,
    may_be_endless,
)
from tests.jobs.virtual_time import moment

Send = Callable[[], Awaitable[Sequence[JobSummary]]]


class Client:
    """Uses the queue of an engine; what to expect is in the ledger, which has read its log so far.

    `ids` are those of all jobs that it was told of, the oldest first.
    """

    def __init__(self, rig: Rig, ledger: Ledger) -> None:
        self.rig = rig
        self.queue = rig.queue
        self.ledger = ledger
        self.ids: list[str] = []
        self.has_endless_jobs = False
        self._keys = count()
        self._repeatable: list[tuple[Send, list[tuple[str, bool]]]] = []

    async def take(self, step: Step) -> None:
        """Do this, and check the answer."""
        note(f"at {trio.current_time()}: {step}")
        match step:
            case Submit():
                await self.submit(step)
            case Repeat(which) if self._repeatable:
                await self.repeat(*self._repeatable[which % len(self._repeatable)])
            case Cancel(which) | RunNow(which) | Change(which) | RunAgain(which) if self.ids:
                await self.act_on(self.id_of(which), step)
            case CancelAll():
                await self.cancel_all(step)
            case Pause(job_type):
                await self.pause(job_type)
            case Resume(job_type):
                await self.queue.resume(job_type)
            case TimePasses(seconds):
                await trio.sleep(seconds)
                await trio.testing.wait_all_tasks_blocked()

    async def act_on(self, job_id: str, step: Cancel | RunNow | Change | RunAgain) -> None:
        """Do this to one job."""
        match step:
            case Cancel():
                await self.cancel(job_id)
            case RunNow():
                await self.run_now(job_id)
            case Change():
                await self.change(job_id, step)
            case RunAgain():
                await self.run_again(job_id)

    async def submit(self, step: Submit) -> None:
        """Either all of it is answered, with new jobs or those that hold the keys, or none."""
        holders = [self.holder(job) for job in step.jobs]
        new = self.without_duplicates(step)
        wanted = len(new)
        room = self.ledger.room
        key = f"key-{next(self._keys)}" if step.with_key else None
        options = [self.options_of(job) for job in step.jobs]
        unknown = any(self.is_forgotten(job_id) for job in new for job_id in self.after(job))

        async def send() -> Sequence[JobSummary]:
            asked = list(zip(step.jobs, options, strict=True))
            if step.as_batch:
                drafts = [self.queue.check(job.type, list(job.acts), **more) for job, more in asked]
                return await self.queue.submit_all(drafts, idempotency_key=key)
            ((job, more),) = asked
            acts = list(job.acts)
            return [await self.queue.submit(job.type, acts, idempotency_key=key, **more)]

        try:
            answers = await send()
        except UnknownPredecessor:
            assert unknown
        except QueueClosed:
            assert self.ledger.is_ending
            assert wanted
        except QueueFull:
            assert wanted > room
        else:
            assert not unknown
            assert wanted == 0 or (wanted <= room and not self.ledger.is_ending)
            for submission, answer, holder in zip(step.jobs, answers, holders, strict=True):
                assert holder in (None, answer.id)
                self.was_told_of(answer)
                self.has_endless_jobs |= submission.may_be_endless
            if key is not None:
                told = [(answer.id, answer.duplicate) for answer in answers]
                self._repeatable.append((send, told))

    def without_duplicates(self, step: Submit) -> list[Submission]:
        """Those that will make a job, because no other one holds their key."""
        new, held = [], set()
        for job in step.jobs:
            key = (job.type, job.unique_key)
            if job.unique_key is not None and (key in held or self.holder(job) is not None):
                continue
            new.append(job)
            if not any(self.has_ended_badly(job_id) for job_id in self.after(job)):
                held.add(key)  # one that fails at once frees its key at once, too
        return new

    def has_ended_badly(self, job_id: str) -> bool:
        """Whether a job that comes after this one fails at once."""
        return self.ledger.jobs[job_id].state in ENDINGS - {"job_completed"}

    async def repeat(self, send: Send, told: list[tuple[str, bool]]) -> None:
        """It is answered as it was, whatever has happened since."""
        answers = await send()
        assert [(answer.id, answer.duplicate) for answer in answers] == told
        assert all(answer.replayed for answer in answers)

    async def cancel(self, job_id: str) -> None:
        """A job that waits has ended at once; one that runs is being interrupted."""
        before = self.ledger.jobs[job_id].state
        try:
            detail = await self.queue.cancel(job_id)
        except UnknownJob:
            assert self.is_forgotten(job_id)
        except AlreadyFinished:
            assert before in ENDINGS
        else:
            assert before in (WAITS, READY, RUNS)
            assert detail.status == ("processing" if before == RUNS else "cancelled")
            assert detail.cancel_requested == (before == RUNS)
            self.ledger.called_off.add(job_id)

    async def run_now(self, job_id: str) -> None:
        """It is ready, if it waits for nothing but its time."""
        before = self.ledger.jobs[job_id].state
        try:
            detail = await self.queue.run_now(job_id)
        except UnknownJob:
            assert self.is_forgotten(job_id)
        except NotPending:
            assert before in {RUNS, *ENDINGS}
        except WaitsForJobs:
            assert before == WAITS
            assert self.ledger.awaits_others(job_id)
        else:
            assert before in (WAITS, READY)
            assert detail.status == "pending"

    async def change(self, job_id: str, step: Change) -> None:
        """It is as it is wanted, if it waits, and not already on its way to a worker."""
        before = self.ledger.jobs[job_id].state
        run_at = None if step.seconds is None else moment(trio.current_time() + step.seconds)
        try:
            detail = await self.queue.edit(
                job_id, run_at=run_at, priority=step.priority, payload=list(step.acts)
            )
        except UnknownJob:
            assert self.is_forgotten(job_id)
        except NotPending:
            assert before in {READY, RUNS, *ENDINGS}  # READY if it is on its way to a worker
        else:
            assert before in (WAITS, READY)
            assert step.priority in (None, detail.priority)
            self.has_endless_jobs |= may_be_endless(step.acts)

    async def cancel_all(self, step: CancelAll) -> None:
        """What waited has been called off, all of it; of what ran, what was not already."""
        waited = self.ledger.in_state(WAITS, READY, job_type=step.type)
        ran = self.ledger.in_state(RUNS, job_type=step.type)
        done = await self.queue.cancel_all(step.type, status=step.status)
        self.ledger.read(self.rig.record.events)
        if step.status == "processing":
            assert done.cancelled == 0
        else:
            assert {job.state for job in waited} <= {"job_cancelled"}
            assert done.cancelled == len(waited)
        if step.status != "pending":
            self.ledger.called_off |= {job.id for job in ran}
        assert done.interrupted <= (0 if step.status == "pending" else len(ran))

    async def run_again(self, job_id: str) -> None:
        """What has ended is run once more, by a job of its own."""
        before = self.ledger.jobs[job_id].state
        try:
            answer = await self.queue.retry(job_id)
        except UnknownJob:
            assert self.is_forgotten(job_id)
        except NotFinished:
            assert before in (WAITS, READY, RUNS)
        except QueueFull:
            assert self.ledger.room < 1
        except QueueClosed:
            assert self.ledger.is_ending
        else:
            assert before in ENDINGS
            assert answer.duplicate or answer.retry_of == job_id
            self.was_told_of(answer)

    async def pause(self, job_type: str | None) -> None:
        """What a worker has been given already still starts."""
        for job in self.ledger.in_state(READY):
            reason = (await self.queue.get(job.id)).waits_because
            if str(reason).startswith("about to start"):
                self.ledger.on_its_way.add(job.id)
        await self.queue.pause(job_type)

    def was_told_of(self, answer: JobSummary) -> None:
        """A client knows this job now."""
        assert not answer.replayed
        assert answer.duplicate == (answer.id in self.ids)
        if not answer.duplicate:
            self.ids.append(answer.id)

    def id_of(self, number: int) -> str:
        """One of the jobs that there have been, counted from the newest."""
        return self.ids[-1 - number % len(self.ids)]

    def is_forgotten(self, job_id: str) -> bool:
        """Whether the job is not kept any more."""
        return self.rig.store._jobs.get(job_id) is None

    def holder(self, job: Submission) -> str | None:
        """The job that has its unique key, where it has one."""
        if job.unique_key is None:
            return None
        holder = self.ledger.holder(job.type, job.unique_key)
        return holder.id if holder is not None else None

    def after(self, job: Submission) -> list[str]:
        """The jobs that it is to come after."""
        return [self.id_of(number) for number in job.after if self.ids]

    def options_of(self, job: Submission) -> JobOptions:
        """What is submitted with it, now."""
        options = JobOptions(
            priority=job.priority,
            unique_key=job.unique_key,
            max_retries=job.max_retries,
            after=self.after(job),
        )
        if job.seconds is not None and job.by_date:
            options["run_at"] = moment(trio.current_time() + job.seconds)
        else:
            options["delay_seconds"] = job.seconds
        return options
