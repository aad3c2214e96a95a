"""Calls off jobs that this process does not hold: those of nobody at once, all others by a word.

Only the process that holds a job changes it. So it is told, and does it.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from job_service.errors import JobChanged, JobServiceError
from job_service.jobs.state.attempt_transitions import rescue
from job_service.jobs.state.changes import Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Job, Status
from job_service.jobs.state.transitions import cancel
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import WHOLE, finishing
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import jobs_of
from job_service.stores.postgres.word import require_unchanged, tell_holders, word_to_call_off
from job_service.telemetry.events import Event, JobsClaimed

_SOME: Final = f"""
    SELECT node, status, edit, id, {WHOLE} FROM job_service.jobs
    WHERE id = ANY(%s) AND (cancel_reason IS NULL OR node IS NULL)
        AND (cardinality(%s::text[]) = 0 OR status = ANY(%s))
    ORDER BY id DESC FOR UPDATE
"""


class CallOff:
    """Some jobs, if they have one of these statuses by then; none are said if any will do.

    The `ended` ones were called off, and to the processes of all others it was said.
    """

    def __init__(
        self,
        ids: Collection[str],
        reason: str,
        by: str | None,
        *,
        statuses: Collection[Status] = (),
    ) -> None:
        self.reason = reason
        self.by = by
        self._ids = list(ids)
        self._statuses = list(statuses)
        self.ended: list[Job] = []
        self.interrupted = 0
        self._asked_to_call_off = 0
        self.told: list[Event] = []
        self.says_word = False

    @property
    def cancelled(self) -> int:
        """How many were called off while they waited."""
        return len(self.ended) + self._asked_to_call_off

    async def do(self, tx: Transaction, clock: Clock) -> None:
        """Call them off, or say so."""
        rows = await self._look(tx)
        free = await jobs_of(tx, [row[3:] for row in rows if row[0] is None])
        held = [(row[3], row[1]) for row in rows if row[0] is not None]
        elsewhere = Elsewhere(clock)
        for job in free:
            elsewhere.take_in(job)
            elsewhere.apply(self._end(job, clock))
        if free:
            await tx.do(finishing(free, None))
        if held:
            await self._tell_holders(tx, [job_id for job_id, _ in held])
        self.ended = free
        self.told = [JobsClaimed(timestamp=tx.now, jobs=len(free)), *elsewhere.take_told()]
        self._asked_to_call_off = sum(status == "pending" for _, status in held)
        self.interrupted = len(held) - self._asked_to_call_off
        self.says_word = bool(held)

    async def _look(self, tx: Transaction) -> Sequence[tuple[Any, ...]]:
        return await tx.rows(_SOME, self._ids, self._statuses, self._statuses)

    async def _tell_holders(self, tx: Transaction, ids: Sequence[str]) -> None:
        await tx.rows(
            """
            UPDATE job_service.jobs SET cancel_reason = %s, cancel_by = %s
            WHERE id = ANY(%s) AND cancel_reason IS NULL
            """,
            self.reason,
            self.by,
            list(ids),
        )

    def _end(self, job: Job, clock: Clock) -> Change:
        if job.status == "pending":
            return cancel(job, self.reason, clock, self.by)
        # It ran when its process died, and whoever saw to that could not read it.
        job.cancel_reason, job.cancel_by = self.reason, self.by
        return rescue(job, clock, max_losses=1, was_alone=False)


class CallOffExpected(CallOff):
    """One job, if it has one of the versions that are expected; else there is a `refusal`."""

    def __init__(self, job_id: str, reason: str, by: str | None, expected: Collection[str]) -> None:
        super().__init__([job_id], reason, by)
        self.word = word_to_call_off(reason, by, expected)
        self.refusal: JobServiceError | None = None

    @property
    def is_done(self) -> bool:
        """Whether it was done here, and not by a word."""
        return bool(self.ended)

    async def _look(self, tx: Transaction) -> Sequence[tuple[Any, ...]]:
        self.refusal = None
        rows = await super()._look(tx)
        jobs = await jobs_of(tx, [row[3:] for row in rows])
        try:
            for job, (node, _, asked, *_) in zip(jobs, rows, strict=True):
                require_unchanged(job, self.word, asked if node is not None else None)
        except JobChanged as refusal:
            self.refusal = refusal
            return []
        return rows

    async def _tell_holders(self, tx: Transaction, ids: Sequence[str]) -> None:
        await tell_holders(tx, self.word, ids)
