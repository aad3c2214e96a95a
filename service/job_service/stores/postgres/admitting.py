"""Decides in a transaction which submissions become jobs, and keeps those.

What decides is the same as for jobs in memory. Here it is told what the database has: who holds the
unique keys, what the jobs to come after have become, and how many jobs wait. Who writes a key has a
lock on it until the commit, so of several processes that submit the same, one makes the job.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from job_service.jobs.state.capacity import Capacity, Totals
from job_service.jobs.state.changes import Creation
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.group import creation_of
from job_service.jobs.state.model import TERMINAL, Edit, Job, Status
from job_service.jobs.state.transitions import edit
from job_service.stores.admission import Admission
from job_service.stores.postgres.claiming import lock_of, take_locks
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.groups import keep_groups
from job_service.stores.postgres.known_requests import KnownRequests
from job_service.stores.postgres.labelling import keep_labels
from job_service.stores.postgres.rows import (
    WHOLE,
    insertion,
    insertion_of_finished,
    is_storable,
    text_of,
)
from job_service.stores.postgres.schedules import keep_states, locked_states
from job_service.stores.postgres.submission import Submission
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import jobs_of
from job_service.telemetry.events import JobsReleased

_LOCK: Final = lock_of("capacity")
_MANY_PROCESSES: Final = 16  # so many may submit at once without waiting for one another


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms this process submits now.

    `holds` says whether it takes a new job itself.
    """

    capacity: Callable[[Totals], Capacity]
    clock: Clock
    is_closed: bool
    holds: Callable[[Job], bool]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many jobs the database has of each status, and the bytes of those that have not ended."""

    counts: Mapping[Status, int]
    unfinished_bytes: int


class _Sum:
    """What the database has, and what this transaction adds."""

    def __init__(self, kept: Totals, new: Elsewhere) -> None:
        self._kept = kept
        self._new = new

    @property
    def counts(self) -> Mapping[Status, int]:
        return {"pending": self._kept.counts["pending"] + self._new.counts["pending"]}

    @property
    def unfinished_bytes(self) -> int:
        return self._kept.unfinished_bytes + self._new.unfinished_bytes


class Admitted(NamedTuple):
    """Whether any new jobs are ready and held by nobody, and those that have ended at once.

    `put_off` has the ids of jobs that are still to be changed, and for which submission.
    """

    any_ready: bool
    ended: Sequence[Job]
    put_off: Sequence[tuple[Submission, str, Edit]]


async def admit(tx: Transaction, submissions: Sequence[Submission], terms: Terms) -> Admitted:
    """Decide on all of these, in their order, and keep what becomes of them."""
    await _lock_keys(tx, submissions)
    requests = [each.request for each in submissions if each.request is not None]
    known = await KnownRequests.read(tx, requests)
    holders = await _holders(tx, submissions)
    predecessors = await _predecessors(tx, submissions)
    wanted = sum(len(each.drafts) for each in submissions)
    new = Elsewhere(terms.clock)
    totals = _Sum(await _totals_for(tx, wanted, terms), new)
    made: list[Job] = []
    to_put_off: list[tuple[str, Edit]] = []
    put_off: list[tuple[Submission, str, Edit]] = []

    def change(job: Job, wanted: Edit) -> bool:
        if job.status != "pending":
            return False
        if new.get(job.id) is job:
            new.apply(edit(job, wanted, terms.clock))
        else:
            to_put_off.append((job.id, wanted))
        return True

    def make(creation: Creation) -> None:
        made.append(creation.job)
        due = creation.job.due_monotonic
        new.apply(creation)
        creation.job.due_monotonic = due  # for this process, if it takes the job

    admission = Admission(
        terms.capacity(totals),
        new.told.append,
        terms.clock,
        find=lambda job_id: new.get(job_id) or predecessors.get(job_id),
        holder=lambda job_type, key: new.holder(job_type, key) or holders.get((job_type, key)),
        make=make,
        put_off=change,
    )
    admission.is_closed = terms.is_closed
    states = await locked_states(tx, [each.schedule for each in submissions if each.schedule])
    before = list(states.values())
    for submission in submissions:
        submission.jobs, submission.refusal, submission.taken = (), None, []
        if submission.is_passed_over(states, tx.now):
            continue
        first = len(made)
        try:
            submission.jobs = known.recall(submission.request, new.get) or admission.accept_all(
                submission.drafts
            )
        except Exception as refusal:
            submission.refusal = refusal
        else:
            known.remember(submission.request, submission.jobs)
            submission.note_job(states)
        submission.told = new.take_told()
        put_off += [(submission, *each) for each in to_put_off]
        to_put_off.clear()
        _part(submission, made[first:], terms, tx.now)
    await _keep(tx, made, submissions)
    await keep_states(tx, [state for state in states.values() if state not in before])
    await known.keep(tx)
    taken = {job.id for each in submissions for job in each.taken}
    left = [job for job in made if job.status == "pending" and job.id not in taken]
    return Admitted(
        any_ready=any(not job.awaits and job.run_at <= tx.now for job in left),
        ended=[job for job in made if job.status in TERMINAL],
        put_off=put_off,
    )


def _part(submission: Submission, made: Sequence[Job], terms: Terms, now: datetime) -> None:
    if submission.group is not None and made:
        submission.told.append(creation_of(submission.group))
    waiting = [job for job in made if job.status == "pending"]
    debounced = {
        (draft.type, draft.unique_key)
        for draft in submission.drafts
        if draft.debounce_seconds is not None  # any process may have to put it off
    }
    submission.taken = [
        job
        for job in waiting
        if not job.awaits and (job.type, job.unique_key) not in debounced and terms.holds(job)
    ]
    if left := len(waiting) - len(submission.taken):
        submission.told.append(JobsReleased(timestamp=now, jobs=left))


async def totals_of(tx: Transaction) -> Totals:
    """How many jobs wait in the whole store, and how many bytes all have that have not ended."""
    ((pending, unfinished),) = await tx.rows(
        """
        SELECT coalesce(sum(jobs) FILTER (WHERE status = 'pending'), 0)::bigint,
            coalesce(sum(bytes), 0)::bigint
        FROM job_service.counts WHERE status IN ('pending', 'processing')
        """
    )
    return Counted({"pending": pending}, unfinished)


async def _totals_for(tx: Transaction, wanted: int, terms: Terms) -> Totals:
    """As `totals_of`. When there is little room left, nobody else submits until the commit."""
    totals = await totals_of(tx)
    limits = terms.capacity(totals)
    if not limits.fits(_MANY_PROCESSES * wanted, limits.limit_bytes // 4):
        await take_locks(tx, {_LOCK})
        totals = await totals_of(tx)
    return totals


async def _lock_keys(tx: Transaction, submissions: Iterable[Submission]) -> None:
    locks = set[int]()
    for each in submissions:
        if each.request is not None:
            locks.add(lock_of("request", each.request.key))
        locks.update(
            lock_of("unique", draft.type, text_of(draft.unique_key))
            for draft in each.drafts
            if draft.unique_key is not None
        )
    await take_locks(tx, locks)


async def _holders(
    tx: Transaction, submissions: Iterable[Submission]
) -> dict[tuple[str, str], Job]:
    keys = {
        (draft.type, text_of(draft.unique_key))
        for each in submissions
        for draft in each.drafts
        if draft.unique_key is not None
    }
    if not keys:
        return {}
    types, texts = zip(*keys, strict=True)
    rows = await tx.rows(
        f"""
        SELECT id, {WHOLE} FROM job_service.jobs JOIN unnest(%s::text[], %s::text[])
            AS wanted (wanted_type, wanted_key) ON type = wanted_type AND unique_key = wanted_key
        """,
        list(types),
        list(texts),
    )
    return {(job.type, job.unique_key or ""): job for job in await jobs_of(tx, rows)}


async def _predecessors(tx: Transaction, submissions: Iterable[Submission]) -> dict[str, Job]:
    """The jobs to come after. Those that have not ended do not end before the commit."""
    wanted = {
        job_id
        for each in submissions
        for draft in each.drafts
        for job_id in draft.after
        if is_storable(job_id)
    }
    if not wanted:
        return {}
    rows = await tx.rows(
        f"""
        WITH locked AS (
            SELECT id FROM job_service.jobs WHERE id = ANY(%s) ORDER BY id FOR UPDATE
        )
        UPDATE job_service.jobs AS jobs SET is_awaited = true FROM locked
        WHERE jobs.id = locked.id RETURNING jobs.id, {WHOLE}
        """,
        sorted(wanted),
    )
    rows += await tx.rows(
        "SELECT id, record, '', 0 FROM job_service.finished WHERE id = ANY(%s)", sorted(wanted)
    )
    return {job.id: job for job in await jobs_of(tx, rows)}


async def _keep(tx: Transaction, made: Sequence[Job], submissions: Iterable[Submission]) -> None:
    taken = {job.id for each in submissions for job in each.taken}
    if waiting := [job for job in made if job.status not in TERMINAL]:
        await tx.do(insertion(waiting, tx.node, taken))
        edges = [(before, job.id) for job in waiting for before in job.awaits or ()]
        if edges:
            await tx.rows(
                "INSERT INTO job_service.edges SELECT * FROM unnest(%s::text[], %s::text[])",
                *map(list, zip(*edges, strict=True)),
            )
    if ended := [job for job in made if job.status in TERMINAL]:
        await tx.do(insertion_of_finished(ended))
    await keep_labels(tx, made)
    new = {job.group for job in made}
    groups = [each.group for each in submissions if each.group is not None]
    await keep_groups(tx, [group for group in groups if group.id in new])
