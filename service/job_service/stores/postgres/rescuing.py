"""Gives back the jobs of processes whose lease is over, and counts a loss for those that ran."""

from typing import Final

from msgspec import UNSET, structs

from job_service.jobs.state.attempt_transitions import rescue
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import TERMINAL, Job
from job_service.jobs.state.stand_in import StandIn
from job_service.jobs.state.transitions import cancel
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import WHOLE, changing, finishing
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import jobs_of
from job_service.telemetry.events import Event, JobRescued, JobsClaimed

_END_NODES: Final = """
    DELETE FROM job_service.nodes WHERE id IN (
        SELECT id FROM job_service.nodes
        WHERE lease_until < clock_timestamp() AND id <> %s
            AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %s)
        FOR UPDATE SKIP LOCKED
    ) RETURNING id
"""
_LET_WAIT: Final = """
    UPDATE job_service.jobs SET node = NULL, status = 'pending', rescues = rescues + 1
    WHERE id = ANY(%s)
"""
_JOBS: Final = f"""
    SELECT cancel_reason, cancel_by, id, {WHOLE} FROM job_service.jobs
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
        unreadable: list[str] = []  # whoever can read them finds out that they ran
        ended: list[Job] = []
        elsewhere = Elsewhere(clock)
        rows = await tx.rows(_JOBS, node)
        jobs = await jobs_of(tx, [row[2:] for row in rows])
        was_alone = sum(job.status == "processing" for job in jobs) == 1
        for job, (reason, by, *_) in zip(jobs, rows, strict=True):
            if job.cancel_reason is None:
                job.cancel_reason, job.cancel_by = reason, by
            if isinstance(job, StandIn):
                job.status = "pending"
            elsewhere.take_in(job)
            self._let_follow(job, elsewhere, clock, was_alone=was_alone)
            if job.status in TERMINAL:
                ended.append(job)
                self.told.append(JobsClaimed(timestamp=tx.now, jobs=1))
            elif isinstance(job, StandIn):
                unreadable.append(job.id)
            else:
                waiting.append((job, False))
            self.told += [by_lease(event, node) for event in elsewhere.take_told()]
        if waiting:
            await tx.do(changing(waiting, node, rescues=1))
        if unreadable:
            await tx.rows(_LET_WAIT, unreadable)
        if ended:
            await tx.do(finishing(ended, node))
        self.any_ready = self.any_ready or bool(waiting or unreadable)
        self.ended += ended

    def _let_follow(self, job: Job, elsewhere: Elsewhere, clock: Clock, *, was_alone: bool) -> None:
        """What follows for a job from the end of the process that held it."""
        if job.status == "processing":
            elsewhere.apply(rescue(job, clock, self._max_losses, was_alone=was_alone))
        elif job.cancel_reason is not None:
            elsewhere.apply(cancel(job, job.cancel_reason, clock, job.cancel_by))


def by_lease(event: Event, node: object = UNSET) -> Event:
    """What is told of a rescue, and of the node that held the job, if that is known."""
    if isinstance(event, JobRescued):
        name = UNSET if node is UNSET else str(node)
        return structs.replace(event, reason="lease_over", node=name)
    return event
