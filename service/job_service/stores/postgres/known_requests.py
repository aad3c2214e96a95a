"""Which requests with an idempotency key were made before, by whichever process."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from job_service.errors import IdempotencyKeyReused
from job_service.jobs.state.detail import JobSummary, summarize
from job_service.jobs.state.model import Ending, Job
from job_service.stores.contract import KeyedRequest
from job_service.stores.idempotency import REMEMBERED_SECONDS, as_ended, replayed
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import jobs_of

_decode_summaries = msgspec.json.Decoder(list[JobSummary]).decode


class KnownRequests:
    """Which requests were made before, and what has become of their jobs."""

    def __init__(self) -> None:
        self._requests: dict[str, tuple[bytes, Sequence[JobSummary]]] = {}
        self._unreadable = set[str]()  # keys whose answers can't be read
        self._now: dict[str, JobSummary] = {}  # of their jobs that are kept
        self._endings: dict[str, Ending] = {}  # of those that are kept no more
        self._new: dict[str, tuple[bytes, Sequence[JobSummary]]] = {}

    @classmethod
    async def read(cls, tx: Transaction, requests: Sequence[KeyedRequest]) -> "KnownRequests":
        """What is known of these requests."""
        known = cls()
        if not requests:
            return known
        for key, asked, jobs in await tx.rows(
            "SELECT key, asked, jobs FROM job_service.keys WHERE key = ANY(%s) AND until > %s",
            [request.key for request in requests],
            tx.now,
        ):
            try:
                known._requests[key] = asked, _decode_summaries(jobs)
            except msgspec.DecodeError:
                known._unreadable.add(key)
        ids = [job.id for _, jobs in known._requests.values() for job in jobs]
        if ids:
            await known._read_jobs(tx, ids)
        return known

    async def _read_jobs(self, tx: Transaction, ids: list[str]) -> None:
        rows = await tx.rows(
            """
            SELECT id, record, '', 0 FROM job_service.jobs WHERE id = ANY(%s)
            UNION ALL SELECT id, record, '', 0 FROM job_service.finished WHERE id = ANY(%s)
            """,
            ids,
            ids,
        )
        for job in await jobs_of(tx, rows):
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
        if request is not None and request.key in self._unreadable:
            raise IdempotencyKeyReused("what this idempotency key has made can't be read")
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
