"""Decides in a transaction which submissions become jobs, and keeps those.

What decides is the same as for jobs in memory. Here it is told what the database has: who holds the
unique keys, what the jobs to come after have become, and how many jobs wait. Who writes a key has a
lock on it until the commit, so of several processes that submit the same, one makes the job.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from job_service.errors import IdempotencyKeyReused
from job_service.jobs.state.capacity import Capacity, Totals
from job_service.jobs.state.changes import Creation
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobSummary, summarize
from job_service.jobs.state.model import TERMINAL, Draft, Ending, Job, Status
from job_service.stores.admission import Admission, replayed
from job_service.stores.contract import KeyedRequest, Tick
from job_service.stores.idempotency import REMEMBERED_SECONDS, as_ended
from job_service.stores.postgres.claiming import lock_of, take_locks
from job_service.stores.postgres.elsewhere import Elsewhere
from job_service.stores.postgres.rows import (
    WHOLE,
    insertion,
    insertion_of_finished,
    job_of,
    text_of,
)
from job_service.stores.postgres.transaction import Transaction
from job_service.telemetry.events import Event, JobsReleased

_LOCK: Final = lock_of("capacity")
_MANY_PROCESSES: Final = 16  # so many may submit at once without waiting for one another

_decode_summaries = msgspec.json.Decoder(list[JobSummary]).decode


class Submission:
    """What one caller submits, and the jobs that it gets, or why it does not."""

    def __init__(
        self,
        drafts: Sequence[Draft],
        request: KeyedRequest | None = None,
        schedule: str | None = None,
        not_since: datetime | None = None,
    ) -> None:
        self.drafts = drafts
        self.request = request
        self.schedule = schedule
        self.not_since = not_since
        self.jobs: Sequence[JobSummary] = ()
        self.refusal: Exception | None = None
        self.told: list[Event] = []
        self.taken: list[Job] = []  # by this process
        self.tick: Tick | None = None
        self.is_tick_new = False

    def had_by_another(self, ticks: Mapping[str, Tick]) -> Tick | None:
        """The tick of its schedule that another process has had in place of this one, if any."""
        tick = ticks.get(self.schedule or "")
        if tick is None or self.not_since is None or tick.at < self.not_since:
            return None
        return tick


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
    """Whether any new jobs are ready and held by nobody, and whether any have ended at once."""

    any_ready: bool
    any_ended: bool


async def admit(tx: Transaction, submissions: Sequence[Submission], terms: Terms) -> Admitted:
    """Decide on all of these, in their order, and keep what becomes of them."""
    await _lock_keys(tx, submissions)
    requests = [each.request for each in submissions if each.request is not None]
    known = await _Known.read(tx, requests)
    holders = await _holders(tx, submissions)
    predecessors = await _predecessors(tx, submissions)
    wanted = sum(len(each.drafts) for each in submissions)
    new = Elsewhere(terms.clock)
    totals = _Sum(await _totals_for(tx, wanted, terms), new)
    made: list[Job] = []

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
    )
    admission.is_closed = terms.is_closed
    ticks = await _last_ticks(tx, submissions)
    for submission in submissions:
        submission.jobs, submission.refusal, submission.taken = (), None, []
        submission.tick = submission.had_by_another(ticks)
        if submission.tick is not None:
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
            if submission.schedule is not None:
                job = submission.jobs[0]
                submission.tick = Tick(submission.schedule, job.created_at, job.id)
                submission.is_tick_new = True
        submission.told = new.take_told()
        _part(submission, made[first:], terms, tx.now)
    await _keep(tx, made, submissions)
    await known.keep(tx)
    taken = {job.id for each in submissions for job in each.taken}
    left = [job for job in made if job.status == "pending" and job.id not in taken]
    return Admitted(
        any_ready=any(not job.awaits and job.run_at <= tx.now for job in left),
        any_ended=any(job.status in TERMINAL for job in made),
    )


def _part(submission: Submission, made: Iterable[Job], terms: Terms, now: datetime) -> None:
    waiting = [job for job in made if job.status == "pending"]
    submission.taken = [job for job in waiting if not job.awaits and terms.holds(job)]
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
        if each.schedule is not None:
            locks.add(lock_of("tick", each.schedule))
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
        SELECT {WHOLE} FROM job_service.jobs JOIN unnest(%s::text[], %s::text[])
            AS wanted (wanted_type, wanted_key) ON type = wanted_type AND unique_key = wanted_key
        """,
        list(types),
        list(texts),
    )
    return {(job.type, job.unique_key or ""): job for job in (job_of(*row) for row in rows)}


async def _last_ticks(tx: Transaction, submissions: Iterable[Submission]) -> dict[str, Tick]:
    schedules = [each.schedule for each in submissions if each.schedule is not None]
    if not schedules:
        return {}
    rows = await tx.rows(
        "SELECT schedule, at, job_id FROM job_service.ticks WHERE schedule = ANY(%s)", schedules
    )
    return {row[0]: Tick(*row) for row in rows}


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
        f"SELECT {WHOLE} FROM job_service.jobs WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE",
        sorted(wanted),
    )
    rows += await tx.rows(
        "SELECT record, '', 0 FROM job_service.finished WHERE id = ANY(%s)", sorted(wanted)
    )
    return {job.id: job for job in (job_of(*row) for row in rows)}


async def _keep(tx: Transaction, made: Sequence[Job], submissions: Iterable[Submission]) -> None:
    taken = {job.id for each in submissions for job in each.taken}
    if waiting := [job for job in made if job.status not in TERMINAL]:
        await tx.do(insertion((job, tx.node if job.id in taken else None) for job in waiting))
        edges = [(before, job.id) for job in waiting for before in job.awaits or ()]
        if edges:
            await tx.rows(
                "INSERT INTO job_service.edges SELECT * FROM unnest(%s::text[], %s::text[])",
                *map(list, zip(*edges, strict=True)),
            )
    if ended := [job for job in made if job.status in TERMINAL]:
        await tx.do(insertion_of_finished(ended))
    for tick in [each.tick for each in submissions if each.tick and each.is_tick_new]:
        await tx.rows(
            """
            INSERT INTO job_service.ticks VALUES (%s, %s, %s)
            ON CONFLICT (schedule) DO UPDATE SET at = excluded.at, job_id = excluded.job_id
            """,
            *tick,
        )


class _Known:
    """Which requests were made before, and what has become of their jobs."""

    def __init__(self) -> None:
        self._requests: dict[str, tuple[bytes, Sequence[JobSummary]]] = {}
        self._now: dict[str, JobSummary] = {}  # of their jobs that are kept
        self._endings: dict[str, Ending] = {}  # of those that are kept no more
        self._new: dict[str, tuple[bytes, Sequence[JobSummary]]] = {}

    @classmethod
    async def read(cls, tx: Transaction, requests: Sequence[KeyedRequest]) -> "_Known":
        """What is known of these requests."""
        known = cls()
        if not requests:
            return known
        for key, asked, jobs in await tx.rows(
            "SELECT key, asked, jobs FROM job_service.keys WHERE key = ANY(%s) AND until > %s",
            [request.key for request in requests],
            tx.now,
        ):
            known._requests[key] = asked, _decode_summaries(jobs)
        ids = [job.id for _, jobs in known._requests.values() for job in jobs]
        if ids:
            await known._read_jobs(tx, ids)
        return known

    async def _read_jobs(self, tx: Transaction, ids: list[str]) -> None:
        for row in await tx.rows(
            """
            SELECT record, '', 0 FROM job_service.jobs WHERE id = ANY(%s)
            UNION ALL SELECT record, '', 0 FROM job_service.finished WHERE id = ANY(%s)
            """,
            ids,
            ids,
        ):
            job = job_of(*row)
            self._now[job.id] = summarize(job)
        for job_id, status, finished_at in await tx.rows(
            """
            SELECT job_id, status, finished_at FROM job_service.keyed_jobs
            WHERE job_id = ANY(%s) AND status IS NOT NULL
            """,
            ids,
        ):
            self._endings[job_id] = Ending(status, finished_at)

    def recall(
        self, request: KeyedRequest | None, new: Callable[[str], Job | None]
    ) -> Sequence[JobSummary] | None:
        """The jobs of a request that was made before, as they are now; None if it was not.

        Raises IdempotencyKeyReused.
        """
        if request is None or request.key not in self._requests:
            return None
        asked, jobs = self._requests[request.key]
        if asked != request.asked:
            raise IdempotencyKeyReused("this idempotency key was used for another request")
        return [replayed(self._as_it_is(job, new(job.id)), job) for job in jobs]

    def _as_it_is(self, first: JobSummary, new: Job | None) -> JobSummary:
        if new is not None:
            return summarize(new)
        ending = self._endings.get(first.id)
        return self._now.get(first.id) or (as_ended(first, ending) if ending else first)

    def remember(self, request: KeyedRequest | None, jobs: Sequence[JobSummary]) -> None:
        """This request has made these jobs, if it was not known."""
        if request is not None and request.key not in self._requests:
            self._requests[request.key] = self._new[request.key] = request.asked, jobs

    async def keep(self, tx: Transaction) -> None:
        """Keep what is new."""
        if not self._new:
            return
        until = tx.now + timedelta(seconds=REMEMBERED_SECONDS)
        rows: list[tuple[Any, ...]] = [
            (key, asked, msgspec.json.encode(jobs).decode())
            for key, (asked, jobs) in self._new.items()
        ]
        await tx.rows(
            """
            INSERT INTO job_service.keys (key, asked, jobs, until)
            SELECT key, asked, jobs, %s FROM unnest(%s::text[], %s::bytea[], %s::text[])
                AS new (key, asked, jobs)
            ON CONFLICT (key) DO UPDATE
                SET asked = excluded.asked, jobs = excluded.jobs, until = excluded.until
            """,
            until,
            *map(list, zip(*rows, strict=True)),
        )
        await tx.rows(
            """
            INSERT INTO job_service.keyed_jobs (job_id, until)
            SELECT id, %s FROM unnest(%s::text[]) AS id
            ON CONFLICT (job_id) DO UPDATE SET until = excluded.until
            """,
            until,
            sorted({job.id for _, jobs in self._new.values() for job in jobs}),
        )


def is_storable(job_id: str) -> bool:
    """Whether a job may have this id: a client may ask for anything."""
    return job_id.isascii() and "\0" not in job_id
