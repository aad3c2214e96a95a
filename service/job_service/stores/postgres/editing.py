"""Changes a waiting job that this process does not hold: that of nobody at once, others by a word.

Only the process that holds a job changes it. So it is told, and does it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from job_service.errors import JobServiceError, NotPending, WaitsForJobs
from job_service.jobs.state.capacity import Capacity, Totals
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import summarize
from job_service.jobs.state.model import Edit, Job
from job_service.jobs.state.transitions import edit
from job_service.stores.live_store import require_room
from job_service.stores.postgres.admitting import totals_of
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import WHOLE, changing, editing, job_of
from job_service.stores.postgres.transaction import Transaction

if TYPE_CHECKING:
    from job_service.telemetry.events import Event

_JOB: Final = f"""
    SELECT node, awaits, {WHOLE} FROM job_service.jobs WHERE id = %s FOR UPDATE
"""

encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Edit).decode


class EditElsewhere:
    """What is wanted of one job. `refusal` says why not, and `says_word` that its holder was told.

    `any_ready` says whether it is ready now for whoever claims it.
    """

    def __init__(self, job_id: str, wanted: Edit) -> None:
        self._job_id = job_id
        self._wanted = wanted
        self.refusal: JobServiceError | None = None
        self.told: list[Event] = []
        self.says_word = False
        self.any_ready = False

    async def do(
        self, tx: Transaction, clock: Clock, capacity: Callable[[Totals], Capacity]
    ) -> None:
        """Change it, or tell its holder. If it is gone meanwhile, it has ended."""
        self.refusal, self.told, self.says_word, self.any_ready = None, [], False, False
        for node, awaits, *row in await tx.rows(_JOB, self._job_id):
            job = job_of(*row)
            try:
                await self._require(tx, job, awaits, capacity)
            except JobServiceError as refusal:
                self.refusal = refusal
                return
            if self._wanted.run_now and job.run_at <= tx.now:
                return
            if node is not None:
                self.says_word = True
                text = encode(self._wanted).decode()
                await tx.rows("UPDATE job_service.jobs SET edit = %s WHERE id = %s", text, job.id)
            else:
                await self._edit(tx, job, clock)
                self.any_ready = awaits == 0 and job.run_at <= tx.now

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

    async def _edit(self, tx: Transaction, job: Job, clock: Clock) -> None:
        elsewhere = Elsewhere(clock)
        elsewhere.take_in(job)
        elsewhere.apply(edit(job, self._wanted, clock))
        await tx.do(editing([job], None))
        await tx.do(changing([(job, False)], None))
        self.told = elsewhere.take_told()
