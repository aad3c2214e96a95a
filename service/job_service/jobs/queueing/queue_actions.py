"""The part of the facade that changes jobs and the queue: one job, many, or what may start."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Unpack

import trio
from msgspec import UNSET, structs

from job_service.jobs.queueing.bulk import filter_of, retry_all
from job_service.jobs.queueing.filters import JobFilters
from job_service.jobs.queueing.keyed_requests import keyed_request
from job_service.jobs.queueing.option_checks import check_edit
from job_service.jobs.queueing.queue_reader import QueueReader
from job_service.jobs.queueing.words import require_words
from job_service.jobs.registration.job_type import encode_payload
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, Edit, Status
from job_service.jobs.state.views import Cancellations, MadeReady, QueueView, Retries, with_types
from job_service.stores.contract import Portion


class QueueActions(QueueReader):
    """Changes what was submitted; see `JobQueue`."""

    async def retry(
        self, job_id: str, *, idempotency_key: str | None = None, by: str | None = None
    ) -> JobSummary:
        """Run again a job that has ended, at once, as a new job whose `retry_of` names it.

        Raises UnknownJob, NotFinished, UnreadableJob, QueueFull, QueueClosed,
        InvalidIdempotencyKey or IdempotencyKeyReused, and then nothing has changed.
        """
        await require_words(by)
        request = None
        if idempotency_key is not None:
            # Whoever asks for a lone surrogate is to hear that there is no such job.
            asked = job_id.encode(errors="surrogatepass")
            request = await keyed_request(idempotency_key, "retry", asked)
        return await self._store.run_again(job_id, request, by)

    async def run_now(
        self, job_id: str, *, expected: str | Sequence[str] | None = None, by: str | None = None
    ) -> JobDetail:
        """Let a job wait no longer for its time: one that is for later, was snoozed or is retried.

        One that is ready already stays as it is; pauses and limits hold it back as before. Raises
        UnknownJob, NotPending if it runs or has ended, WaitsForJobs, UnreadableJob, or, as `edit`,
        JobChanged.
        """
        await require_words(by)
        wanted = Edit(run_now=True, by=by, expected=_versions(expected))
        return await self._store.edit(job_id, wanted)

    async def edit(
        self,
        job_id: str,
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        payload: object = UNSET,
        expected: str | Sequence[str] | None = None,
        by: str | None = None,
    ) -> JobDetail:
        """Give a job that waits another time, priority or payload; what is left out stays.

        A ready job with another time or priority goes behind all others of its priority. The
        payload is checked as that of a submission is.

        If you say which `version` you have `expected`, or which ones, it is changed only if it
        still has it: of several who have read the same one, one changes the job.

        Raises UnknownJob, NotPending if it runs or has ended, JobChanged if it is not as expected,
        UnreadableJob, UnknownJobType, InvalidPayload, InvalidOption, or QueueFull if there is no
        room for a longer payload; and then nothing has changed.
        """
        try:
            check_edit(run_at, priority, payload, self._clock.now())
        except BaseException:
            await trio.lowlevel.checkpoint()
            raise
        await require_words(by)
        wanted = Edit(run_at, priority, by=by, expected=_versions(expected))
        if payload is not UNSET:
            registered = self._registry.lookup((await self._store.get(job_id)).type)
            text = encode_payload(payload)
            registered.check_payload(text)
            key = None if registered.per is None else registered.limit_key(text)
            wanted = structs.replace(wanted, payload=text, limit_key=key)
        return await self._store.edit(job_id, wanted)

    async def cancel(
        self,
        job_id: str,
        reason: str = "requested",
        *,
        expected: str | Sequence[str] | None = None,
        by: str | None = None,
    ) -> JobDetail:
        """Cancel a job: a pending one at once, a running one at its handler's next checkpoint.

        Raises UnknownJob, AlreadyFinished if it has ended, or, as `edit`, JobChanged.
        """
        await require_words(by, reason)
        return await self._store.cancel(job_id, reason, by, _versions(expected))

    async def cancel_all(
        self,
        job_type: str | None = None,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        reason: str = "requested",
        by: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> Cancellations:
        """Cancel all jobs of this type, or of which all `filters` are true, that have not ended.

        The newest come first, and jobs that are submitted meanwhile are not cancelled. Other tasks
        run in between; a caller who is cancelled has done a part of it, and may do it again. With a
        `limit` it is done for this many jobs, and goes on `after` the `next` of its answer.

        Raises UnknownJobType if a type has no handler, and no jobs of it are kept; or
        InvalidOption, as if nothing says which jobs are meant.
        """
        await require_words(by, reason)
        wanted = await _meant(self, job_type, filters, "pending", "processing")
        return await self._store.cancel_all(wanted, reason, by, Portion(after, limit))

    async def run_now_all(
        self,
        job_type: str | None = None,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        by: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> MadeReady:
        """Let all pending jobs that are meant wait no longer for their time, as `run_now` does.

        Those that are ready, or wait for other jobs, are passed over. All else is as with
        `cancel_all`.
        """
        await require_words(by)
        wanted = await _meant(self, job_type, filters, "pending")
        return await self._store.run_now_all(wanted, by, Portion(after, limit))

    async def retry_all(
        self,
        job_type: str | None = None,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        idempotency_key: str | None = None,
        by: str | None = None,
        **filters: Unpack[JobFilters],
    ) -> Retries:
        """Run all jobs again that are meant, as `retry` does; if no status is said, failed ones.

        It stops if the queue is full. A job is run again once: if the same is asked for again
        within a day, with the same `idempotency_key` or without one both times, it is passed over.
        All else is as with `cancel_all`.

        Raises QueueClosed, and InvalidIdempotencyKey, too.
        """
        await require_words(by)
        ended = await _meant(self, job_type, filters, *sorted(TERMINAL))
        if not filters.get("status"):
            ended = structs.replace(ended, statuses=("failed",))
        if idempotency_key is not None:
            await keyed_request(idempotency_key)
        return await retry_all(self._store, ended, idempotency_key, by, Portion(after, limit))

    async def pause(self, job_type: str | None = None, *, by: str | None = None) -> QueueView:
        """Start no more jobs, or none of this type, until `resume`. Running jobs go on.

        The pause of the queue and the pauses of types are independent. Raises UnknownJobType.
        """
        await require_words(by)
        await self.require_types(() if job_type is None else (job_type,))
        return with_types(await self._store.pause(job_type, by), self._registry.names)

    async def resume(self, job_type: str | None = None, *, by: str | None = None) -> QueueView:
        """End the pause of the queue, or of this type, if there is one. Raises UnknownJobType."""
        await require_words(by)
        await self.require_types(() if job_type is None else (job_type,))
        return with_types(await self._store.resume(job_type, by), self._registry.names)

    async def back_up(self, destination: str | Path, *, by: str | None = None) -> int:
        """Copy all that the store keeps to a new file, and give its size in bytes.

        Jobs go on meanwhile. Raises BackupRefused, as if jobs are in memory, or StoreUnavailable.
        """
        await require_words(by)
        return await self._store.back_up(Path(destination), by)


def _versions(expected: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """The versions that are expected; None if any will do."""
    if expected is None:
        return None
    return (expected,) if isinstance(expected, str) else tuple(expected)


async def _meant(
    queue: QueueReader, job_type: str | None, filters: JobFilters, *statuses: Status
) -> JobFilter:
    """The jobs that these say, if they have one of these statuses. Raises as `cancel_all`."""
    if job_type is not None:
        filters = {**filters, "job_type": job_type}
    try:
        wanted = filter_of(filters, statuses)
    except BaseException:
        await trio.lowlevel.checkpoint()
        raise
    await queue.require_types(wanted.types)
    return wanted
