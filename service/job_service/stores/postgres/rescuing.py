"""Gives back the jobs of processes whose lease is over, and counts a loss for those that ran."""

from typing import Final

from msgspec import structs

from job_service.jobs.state.attempt_transitions import rescue
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import TERMINAL, Job
from job_service.jobs.state.transitions import cancel
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import WHOLE, changing, finishing, job_of
from job_service.stores.postgres.transaction import Transaction
from job_service.telemetry.events import Event, JobRescued, JobsClaimed

_END_NODES: Final = """
    DELETE FROM job_service.nodes WHERE id IN (
        SELECT id FROM job_service.nodes
        WHERE lease_until < clock_timestamp() AND id <> %s
            AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s)
        FOR UPDATE SKIP LOCKED
    ) RETURNING id
"""
_JOBS: Final = f"""
    SELECT cancel_reason, cancel_by, {WHOLE} FROM job_service.jobs
    WHERE node = %s ORDER BY id FOR UPDATE
"""


class Rescue:
    """What became of the jobs of nodes that are gone. The one that looks is not.

    Not before the server has been up for as long as a lease holds, because nobody could renew one
    while it was not.
    """

    def __init__(self, max_losses: int, lease_seconds: float) -> None:
        self._max_losses = max_losses
        self._lease_seconds = lease_seconds
        self.told: list[Event] = []
        self.ended: list[Job] = []
        self.any_ready = False

    async def do(self, tx: Transaction, clock: Clock) -> None:
        """Look for such nodes, and give back what they held."""
        self.told, self.ended, self.any_ready = [], [], False
        for (node,) in await tx.rows(_END_NODES, tx.node, self._lease_seconds):
            await self._rescue_from(tx, clock, node)

    async def _rescue_from(self, tx: Transaction, clock: Clock, node: object) -> None:
        waiting: list[tuple[Job, bool]] = []
        ended: list[Job] = []
        elsewhere = Elsewhere(clock)
        held = [(reason, by, job_of(*row)) for reason, by, *row in await tx.rows(_JOBS, node)]
        was_alone = sum(job.status == "processing" for _, _, job in held) == 1
        for reason, by, job in held:
            if job.cancel_reason is None:
                job.cancel_reason, job.cancel_by = reason, by
            elsewhere.take_in(job)
            if job.status == "processing":
                elsewhere.apply(rescue(job, clock, self._max_losses, was_alone=was_alone))
            elif job.cancel_reason is not None:
                elsewhere.apply(cancel(job, job.cancel_reason, clock, job.cancel_by))
            if job.status in TERMINAL:
                ended.append(job)
                self.told.append(JobsClaimed(timestamp=tx.now, jobs=1))
            else:
                waiting.append((job, False))
            self.told += [_by_lease(event, node) for event in elsewhere.take_told()]
        if waiting:
            await tx.do(changing(waiting, node, rescues=1))
            self.any_ready = True
        if ended:
            await tx.do(finishing(ended, node))
            self.ended += ended


def _by_lease(event: Event, node: object) -> Event:
    if isinstance(event, JobRescued):
        return structs.replace(event, reason="lease_over", node=str(node))
    return event
