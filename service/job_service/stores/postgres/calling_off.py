"""Calls off jobs that this process does not hold: those of nobody at once, all others by a word.

Only the process that holds a job changes it. So it is told, and does it.
"""

from collections.abc import Sequence
from typing import Any, Final

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Job, Status
from job_service.jobs.state.transitions import cancel
from job_service.stores.labels import label_of_group
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import WHOLE, finishing, job_of, text_of
from job_service.stores.postgres.transaction import Transaction
from job_service.telemetry.events import Event, JobsClaimed

PORTION: Final = 500  # jobs in one transaction

_ONE: Final = f"""
    SELECT node, status, {WHOLE} FROM job_service.jobs WHERE id = %s FOR UPDATE
"""
_SOME: Final = f"""
    SELECT node, status, {WHOLE} FROM job_service.jobs
    WHERE type = %s AND id <= %s AND node IS DISTINCT FROM %s AND cancel_reason IS NULL
        AND (%s::text IS NULL OR status = %s)
    ORDER BY id DESC LIMIT {PORTION} FOR UPDATE
"""


_SOME_OF_GROUP: Final = f"""
    SELECT node, status, {WHOLE} FROM job_service.jobs
    WHERE id IN (SELECT id FROM job_service.labels WHERE label = %s)
        AND node IS DISTINCT FROM %s AND cancel_reason IS NULL
    ORDER BY id DESC LIMIT {PORTION} FOR UPDATE
"""


class CallOff:
    """One job, the jobs of a group, or those of a type that came up to the one with id `newest`.

    `cancelled` have ended, and to the processes of `asked` ones it was said. `is_over` says whether
    there is none left.
    """

    def __init__(
        self,
        reason: str,
        by: str | None,
        *,
        job_id: str | None = None,
        group_id: str | None = None,
        job_type: str | None = None,
        status: Status | None = None,
        newest: str | None = None,
    ) -> None:
        self.reason = reason
        self.by = by
        self._job_id = job_id
        self._group_id = group_id
        self._job_type = job_type
        self._status = status
        self._newest = newest
        self.ended: list[Job] = []
        self.interrupted = 0
        self._asked_to_call_off = 0
        self.told: list[Event] = []
        self.says_word = False
        self.is_over = False

    @property
    def cancelled(self) -> int:
        """How many were called off while they waited."""
        return len(self.ended) + self._asked_to_call_off

    async def do(self, tx: Transaction, clock: Clock) -> None:
        """Call off what is left, up to PORTION jobs."""
        rows = await self._find(tx)
        free = [job_of(*row[2:]) for row in rows if row[0] is None]
        held = [(row[2], row[1]) for row in rows if row[0] is not None]
        elsewhere = Elsewhere(clock)
        for job in free:
            elsewhere.take_in(job)
            elsewhere.apply(cancel(job, self.reason, clock, self.by))
        if free:
            await tx.do(finishing(free, None))
        ids = [job_of(record, "", 0).id for record, _ in held]
        if ids:
            await tx.rows(
                """
                UPDATE job_service.jobs SET cancel_reason = %s, cancel_by = %s
                WHERE id = ANY(%s) AND cancel_reason IS NULL
                """,
                text_of(self.reason),
                self.by,
                ids,
            )
        self.ended = free
        self.told = [JobsClaimed(timestamp=tx.now, jobs=len(free)), *elsewhere.take_told()]
        self._asked_to_call_off = sum(status == "pending" for _, status in held)
        self.interrupted = len(held) - self._asked_to_call_off
        self.says_word = bool(held)
        self.is_over = len(rows) < PORTION

    async def _find(self, tx: Transaction) -> Sequence[tuple[Any, ...]]:
        if self._job_id is not None:
            return await tx.rows(_ONE, self._job_id)
        if self._group_id is not None:
            return await tx.rows(_SOME_OF_GROUP, label_of_group(self._group_id), tx.node)
        return await tx.rows(
            _SOME, self._job_type, self._newest, tx.node, self._status, self._status
        )
