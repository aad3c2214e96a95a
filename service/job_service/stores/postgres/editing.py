"""Changes waiting jobs that this process does not hold: those of nobody at once, others by a word.

Only the process that holds a job changes it. So it is told, and does it.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from job_service.errors import JobServiceError, NotPending, WaitsForJobs
from job_service.jobs.state.capacity import Capacity, Totals
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import summarize
from job_service.jobs.state.model import Edit, Job
from job_service.jobs.state.stand_in import require_readable
from job_service.jobs.state.transitions import edit
from job_service.stores.live_store import require_room
from job_service.stores.postgres.admitting import totals_of
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import WHOLE, changing, editing
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import jobs_of
from job_service.stores.postgres.word import require_unchanged, tell_holders, word_to_edit

if TYPE_CHECKING:
    from job_service.telemetry.events import Event

_JOBS: Final = f"""
    SELECT node, awaits, edit, id, {WHOLE} FROM job_service.jobs
    WHERE id = ANY(%s) ORDER BY id FOR UPDATE
"""


class EditElsewhere:
    """The same change of some jobs, of which `changed` ones were, or will be by their holders.

    `refusal` says why one of them can't be. `says_word` tells whether any holder was asked, and
    `is_done` that none had to be. `any_ready` is whether any job is ready for whoever claims it.
    """

    def __init__(self, ids: Collection[str], wanted: Edit) -> None:
        self._ids = list(ids)
        self._wanted = wanted
        self.word = word_to_edit(wanted)
        self._begin()

    def _begin(self) -> None:
        self.changed = 0
        self.refusal: JobServiceError | None = None
        self.told: list[Event] = []
        self.says_word = False
        self.is_done = False
        self.any_ready = False

    async def do(
        self, tx: Transaction, clock: Clock, capacity: Callable[[Totals], Capacity]
    ) -> None:
        """Change them, or tell their holders. Those that are gone meanwhile have ended."""
        self._begin()
        free, held = list[tuple[Job, int]](), list[str]()
        rows = await tx.rows(_JOBS, self._ids)
        jobs = await jobs_of(tx, [row[3:] for row in rows])
        for job, (node, awaits, asked, *_) in zip(jobs, rows, strict=True):
            try:
                if self.word.id is not None and job.answered == self.word.id:
                    continue  # its holder did it, and has given it back since
                require_unchanged(job, self.word, asked if node is not None else None)
                if node is None:
                    require_readable(job)
                await self._require(tx, job, awaits, capacity)
            except JobServiceError as refusal:
                self.refusal = refusal
                continue
            if self._wanted.run_now and job.run_at <= tx.now:
                continue
            if node is None:
                free.append((job, awaits))
            else:
                held.append(job.id)
        self.changed, self.says_word = len(free) + len(held), bool(held)
        self.is_done = bool(rows) and not held
        if held:
            await tell_holders(tx, self.word, held)
        if free:
            await self._edit(tx, [job for job, _ in free], clock)
            self.any_ready = any(awaits == 0 and job.run_at <= tx.now for job, awaits in free)

    async def _require(
        self, tx: Transaction, job: Job, awaits: int, capacity: Callable[[Totals], Capacity]
    ) -> None:
        """Raise NotPending, WaitsForJobs or QueueFull."""
        if job.status != "pending":
            raise NotPending(summarize(job))
        if self._wanted.run_now and awaits:
            raise WaitsForJobs(summarize(job))
        if self._wanted.payload is not None:
            require_room(capacity(await totals_of(tx)), job, self._wanted)

    async def _edit(self, tx: Transaction, jobs: Sequence[Job], clock: Clock) -> None:
        elsewhere = Elsewhere(clock)
        for job in jobs:
            elsewhere.take_in(job)
            elsewhere.apply(edit(job, self._wanted, clock))
        await tx.do(editing(jobs, None))
        await tx.do(changing([(job, False) for job in jobs], None))
        self.told = elsewhere.take_told()
