"""What the queue, the dispatcher and the workers may ask of whatever keeps the jobs.

A store decides who is admitted, keeps the jobs, applies the changes that were decided on them, and
tells its runner. It knows nothing of workers, job types or HTTP, and they know nothing else of it:
the same tests must pass on each store.

There are two kinds of calls. Those that clients wait for are async. Each is a checkpoint, and
returns when what it did or tells is kept. A caller who is cancelled has done nothing, or the whole,
unless the method says otherwise. If the store can't keep anything now, each raises
StoreUnavailable; what it was to submit is not submitted, and all else may still be done. Those that
the service makes while it runs jobs are plain functions that never wait: a worker hands over what
became of an attempt and goes on, and `settled` waits for what was handed over. So a slow disk holds
up answers, and not the loop.

A job whose record can't be read stops nothing. It is given as far as it is known, waits, and can be
cancelled.

Who builds a store keeps it `opened` around all that uses it, because reads outlive the workers.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.group import Group, GroupView
from job_service.jobs.state.job_filter import JobFilter, JobPage
from job_service.jobs.state.model import Draft, Edit, Job, Status
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.jobs.state.views import Cancellations, MadeReady, NodeView, QueueView
from job_service.stores.runner import Runner


class KeyedRequest(msgspec.Struct, frozen=True):
    """A client's idempotency key, and a digest of all that it asked for with it."""

    key: str
    asked: bytes


class Portion(NamedTuple):
    """Some of the jobs that are meant, the newest first: `limit` of them, behind the id `after`."""

    after: str | None = None
    limit: int | None = None


ALL: Final = Portion()


class Excerpt(NamedTuple):
    """How the JSON text of a job's payload begins, and why the job waits, if it does."""

    payload: str
    waits_because: str | None = None


class Store(Protocol):
    """Keeps jobs. What is of `this process` is the whole, unless others share the store."""

    @property
    def clock(self) -> Clock:
        """The clocks by which changes are decided."""

    @property
    def is_durable(self) -> bool:
        """Whether jobs survive the process: then its end leaves them waiting, and none behind."""

    @property
    def trouble(self) -> str | None:
        """Why it can't keep anything now; None if it can."""

    @property
    def why_idle(self) -> str | None:
        """Why this process starts no jobs, although some are ready for it; None if it does."""

    @property
    def capacity(self) -> int:
        """How many jobs may be pending before submissions are turned away."""

    @property
    def pending(self) -> int:
        """How many jobs of this process wait, for whatever."""

    @property
    def blocked(self) -> int:
        """How many of those await other jobs."""

    @property
    def processing(self) -> int:
        """How many jobs this process runs."""

    @property
    def weight(self) -> int:
        """Bytes of memory that the texts of jobs take: payloads, results, errors, tracebacks."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Keep jobs for the block. Raises StoreRefused if they can't be kept there."""

    # What the service does while it runs jobs: none of it waits, but for `recover` and `settled`.

    def attach(self, runner: Runner) -> None:
        """Tell this runner from now on. Called once."""

    def apply(self, change: Change) -> None:
        """Apply a change, which was decided just now.

        The job is changed before this returns. The event, and what the runner must know, follow as
        soon as the change is kept, in the order in which changes came. In memory that is before
        this returns, too. Never raises because of trouble with what keeps the changes.
        """

    def note_demand(self) -> None:
        """The runner has free workers, and nothing for them: see what others have left."""

    def close(self) -> None:
        """Admit no more jobs: submissions raise QueueClosed from now on."""

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        """The service ends: give up what this process holds and has not ended, each for a reason.

        In memory such a job is abandoned. A durable store has it wait for the next start. The one
        method that another thread may call, when the loop is blocked and the process is to end at
        once.
        """

    async def recover(self) -> None:
        """Bring what is kept unended to the runner. Called once, before jobs are to run.

        Raises StoreRefused if it can't be read.
        """

    async def settled(self) -> None:
        """Return when all changes so far are kept and told, however long that takes.

        In memory, that is at once. It may be cancelled, which loses nothing: it may be awaited
        again.
        """

    def abandon_unkept(self) -> None:
        """Nothing more will be kept: abandon each job with changes that are not kept.

        Whoever still waits for an answer is refused. In memory there is no such job.
        """

    # What clients ask for.

    def schedules(self) -> Mapping[str, ScheduleState]:
        """What is kept of each schedule, by its name; but of one that has never made a job, and of
        which nobody has said anything, there is nothing.

        What other processes have done and said is known a second later at most.
        """

    async def submit(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
    ) -> Sequence[JobSummary]:
        """Make a job of each draft, in their order, or none at all; kept on return.

        If it is for a `schedule`, the first job is kept as its last one, in the same act. With
        `not_since` that is a tick, of the moment that the draft is `scheduled_for`. No job is made
        and none is given if the schedule is paused, if it was when the tick fell due, or if another
        process has had a tick of it at `not_since` or later.

        If another job holds a draft's unique key, that one is given, `duplicate`. Such a draft
        needs no place, no bytes and no predecessor. The jobs of a `request` that was made before
        are given, `replayed`, whatever has become of them, even after `close`. What is refused is
        not remembered, and what is made is remembered in the same act. So whoever was cancelled has
        submitted nothing, or can ask again with its key. Without a key, one who is cancelled while
        a durable store writes has submitted the whole, too.

        A store that keeps nothing beyond the process may spare single submissions that fit the turn
        of the loop. Then they are points of cancellation only, and others run after a few
        milliseconds at the latest.

        Raises UnknownPredecessor, IdempotencyKeyReused, QueueFull (BatchTooLarge if they never
        fit) or QueueClosed, and then nothing has changed but the count of what was turned away.
        """

    async def submit_group(
        self, group: Group, drafts: Sequence[Draft], request: KeyedRequest | None = None
    ) -> GroupView:
        """Make the group, with a job of each draft, or nothing at all; else as `submit`.

        In the act in which the last of its jobs ends, in whichever process that is, the group ends
        and the job that is to follow is made. There is always a place for that one. The group of a
        `request` that was made before is given, `replayed`, as it is now.

        Raises UnknownGroup, too, if that one is no longer kept.
        """

    # Whoever asks for one of the following may give their name: `by`. The event tells it.

    async def run_again(
        self, job_id: str, request: KeyedRequest | None = None, by: str | None = None
    ) -> JobSummary:
        """Make a job like this one, which must have ended; else as `submit`.

        Raises UnknownJob, NotFinished or UnreadableJob, too. What comes between the caller's last
        read and this call is nothing: its checkpoint is behind the act. In memory it can't be
        cancelled there.
        """

    async def cancel(
        self,
        job_id: str,
        reason: str,
        by: str | None = None,
        expected: Collection[str] | None = None,
    ) -> JobDetail:
        """Call a pending job off, or have the attempt of a running one interrupted, once.

        If any versions are `expected`, whether the job has one of them is decided in the same act
        as the change: of several who have seen the same version, one changes the job.

        Raises UnknownJob, AlreadyFinished or JobChanged. As in `run_again`, its checkpoint comes
        last.
        """

    async def edit(self, job_id: str, wanted: Edit) -> JobDetail:
        """Change a pending job; one that is ready already is as `run_now` wants it.

        The versions that it has `expected` are those of `cancel`. Raises UnknownJob, NotPending,
        JobChanged, UnreadableJob, WaitsForJobs if one that awaits others is to run now, or
        QueueFull if there is no room for a longer payload. As in `run_again`, its checkpoint comes
        last.
        """

    async def cancel_all(
        self, wanted: JobFilter, reason: str, by: str | None = None, portion: Portion = ALL
    ) -> Cancellations:
        """Call off those of the jobs that are meant which have not ended.

        The newest come first, so those that come in meanwhile are spared. Other tasks run between
        portions of them: a caller who is cancelled has done a part. It may be done again.
        """

    async def run_now_all(
        self, wanted: JobFilter, by: str | None = None, portion: Portion = ALL
    ) -> MadeReady:
        """Let those of the jobs that are meant wait no longer for their time; as `cancel_all`.

        Those that are ready, or await other jobs, or do not wait, stay as they are.
        """

    async def cancel_group(
        self, group_id: str, reason: str, by: str | None = None
    ) -> Cancellations:
        """Call off all jobs of a group that have not ended.

        Raises UnknownGroup, or GroupConflict if all have. Other tasks run between portions of them:
        a caller who is cancelled has done a part.
        """

    async def retry_group(
        self, group_id: str, request: KeyedRequest | None = None, by: str | None = None
    ) -> GroupView:
        """Make a group of jobs like those of this one that did not complete; as `submit_group`.

        Raises UnknownGroup, too, and GroupConflict if it has not ended, or no such job is kept.
        """

    async def pause(self, job_type: str | None, by: str | None = None) -> QueueView:
        """Start no job, or none of this type, until `resume`; kept on return."""

    async def resume(self, job_type: str | None, by: str | None = None) -> QueueView:
        """Take back a pause of the same kind, if there is one; kept on return."""

    async def pause_schedule(self, schedule: str, by: str | None = None) -> None:
        """Make no job at a tick of this schedule until it is resumed; kept on return.

        One that is paused stays as it is. A schedule is no more than a name here.
        """

    async def resume_schedule(self, schedule: str, by: str | None = None) -> None:
        """Take back its pause, if there is one; kept on return."""

    async def back_up(self, destination: Path, by: str | None = None) -> int:
        """Copy all that is kept to a new file, and give its size in bytes.

        The copy is of one moment after this call. All else goes on meanwhile. Raises BackupRefused.
        If the caller is cancelled, the copy may still be made.
        """

    # What is only read.

    async def get(self, job_id: str) -> JobDetail:
        """All that is kept of a job, and what only this process knows of it. Raises UnknownJob."""

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        """As `get`, as soon as the job has ended, or after this many seconds.

        Raises UnknownJob if it is not kept when the wait begins. It may be kept no more at the end.
        """

    async def group(self, group_id: str) -> GroupView:
        """A group as it is now. Raises UnknownGroup."""

    async def wait_for_group(self, group_id: str, seconds: float) -> GroupView:
        """As `group`, as soon as it has ended, or after this many seconds. Raises UnknownGroup."""

    async def page(
        self, wanted: JobFilter, *, after: str | None, limit: int, newest_first: bool
    ) -> JobPage:
        """Up to `limit` jobs that are meant, at least one, in the order of their creation.

        The oldest come first, or the newest. The page begins with the next job in that order after
        the one whose id is `after`, which may be kept no more. The cost is bounded, however many
        jobs are kept: the page is short if many were looked at in vain.
        """

    async def excerpts(self, ids: Sequence[str]) -> Mapping[str, Excerpt]:
        """What is to be told of these jobs beside their summaries; of those that are kept, by id.

        Of a payload, that is EXCERPT_CHARS characters.
        """

    async def view(self) -> QueueView:
        """How many jobs wait, and for what.

        Unless others share the store, it is of the moment at which the call returns, and what it
        counts has been told.
        """

    async def nodes(self) -> Sequence[NodeView]:
        """The processes that share the store; none if it is not one to be shared."""

    async def counts(self) -> Mapping[str, dict[Status, int]]:
        """How many jobs of each type, by its name, have which status."""

    async def view_and_counts(self) -> tuple[QueueView, Mapping[str, dict[Status, int]]]:
        """Both of one moment, so that they agree."""
