"""What follows for the jobs that come after others, in the transaction in which those end."""

from collections.abc import Iterable, Sequence
from typing import Final

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.dependencies import why_unstarted
from job_service.jobs.state.model import Job
from job_service.jobs.state.transitions import fail_unstarted
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import WHOLE, finishing
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import jobs_of
from job_service.telemetry.events import Event, JobsClaimed

_TAKE_EDGES: Final = """
    DELETE FROM job_service.edges WHERE predecessor = ANY(%s) RETURNING predecessor, successor
"""
_AWAIT_LESS: Final = """
    WITH taken AS (SELECT id, count(*) AS fewer FROM unnest(%s::text[]) AS id GROUP BY id)
    UPDATE job_service.jobs AS jobs SET awaits = jobs.awaits - taken.fewer
    FROM taken WHERE jobs.id = taken.id RETURNING jobs.awaits
"""


class Followed:
    """What has followed: events by the job whose end led to them, and whether any job is ready.

    `failed` are the jobs that have failed.
    """

    def __init__(self) -> None:
        self.failed: list[Job] = []
        self.told: dict[str, list[Event]] = {}
        self.any_ready = False


async def follow(tx: Transaction, ended: Iterable[Job], clock: Clock) -> Followed:
    """Let go on what awaited these jobs, or fail it, and then what came after that.

    The end of a service is no failure: what comes after an abandoned job waits on.
    """
    followed = Followed()
    last = {job.id: job for job in ended if job.status != "abandoned"}
    cause = {job_id: job_id for job_id in last}  # the end of which led to that of each
    while last:
        edges = await tx.rows(_TAKE_EDGES, sorted(last))
        edges.sort()
        freed = [after for before, after in edges if last[before].status == "completed"]
        if freed:
            rows = await tx.rows(_AWAIT_LESS, freed)
            followed.any_ready = followed.any_ready or any(awaits == 0 for (awaits,) in rows)
        why = {
            after: before for before, after in reversed(edges) if last[before].status != "completed"
        }
        failed = await _fail(tx, {after: last[before] for after, before in why.items()}, clock)
        last = {}
        for job, events in failed:
            cause[job.id] = cause[why[job.id]]
            followed.told.setdefault(cause[job.id], []).extend(events)
            last[job.id] = job
            followed.failed.append(job)
    return followed


async def _fail(
    tx: Transaction, reasons: dict[str, Job], clock: Clock
) -> Sequence[tuple[Job, list[Event]]]:
    """Fail these jobs, each because another one has ended; those that have not ended before."""
    if not reasons:
        return []
    await tx.rows("DELETE FROM job_service.edges WHERE successor = ANY(%s)", sorted(reasons))
    rows = await tx.rows(
        f"SELECT id, {WHOLE} FROM job_service.jobs WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
        sorted(reasons),
    )
    elsewhere = Elsewhere(clock)
    failed = []
    for job in await jobs_of(tx, rows):
        elsewhere.take_in(job)
        elsewhere.apply(fail_unstarted(job, why_unstarted(reasons[job.id]), clock))
        failed.append((job, [JobsClaimed(timestamp=tx.now, jobs=1), *elsewhere.take_told()]))
    if failed:
        await tx.do(finishing([job for job, _ in failed], None))
    return failed
