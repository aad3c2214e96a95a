"""The facade for jobs, for routes and for programs that embed the service."""

from collections.abc import Iterable, Sequence
from typing import Unpack

import trio
from msgspec import UNSET, structs

from job_service.jobs.queueing.group_queue import GroupQueue
from job_service.jobs.queueing.keyed_requests import keyed_request
from job_service.jobs.queueing.option_checks import check_draft, check_options
from job_service.jobs.queueing.options import JobOptions
from job_service.jobs.queueing.queue_actions import QueueActions
from job_service.jobs.queueing.schedules import Schedules
from job_service.jobs.queueing.words import require_words
from job_service.jobs.registration.job_type import encode_payload
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import DEFAULT_PRIORITY, Draft
from job_service.stores.contract import Store


class JobQueue(QueueActions):
    """Submits, reads, cancels and repeats jobs.

    Each async method is a checkpoint, but for `submit` of one job. On the store in memory that is
    always a point of cancellation, and lets others run after two milliseconds at the latest, and
    whenever the job does not fit.

    A caller who is cancelled has done nothing, or in `cancel_all` perhaps a part. If jobs are kept
    in a file, one who is cancelled while that is written has done the whole. `cancel`, `retry` and
    `run_now` have their checkpoint at the end, and `cancel_all` begins its work without one. So
    nothing happens between what a caller has just read and the call, unless it names a type without
    a handler: then the store is asked first whether it keeps jobs of it.

    If you can't know whether a call of `submit`, `submit_all` or `retry` arrived, repeat it with
    the same `idempotency_key`, 1 to 255 visible ASCII characters of your choice. For a day, the
    same call with that key makes no new job: it returns the first one, `replayed`, even during a
    drain. Another call with it raises IdempotencyKeyReused. A call that raises is not remembered.

    Whoever submits or changes something for somebody, as with `cancel` or `pause`, may give their
    name: `by`, a text of 1 to 255 characters. The event that tells of it has that name, and so has
    the job: `submitted_by`, `edited_by`, `cancelled_by`. An idempotency key does not stand for it.
    Each of these calls raises InvalidOption if that is no name, or a `reason` no Unicode text.

    `groups` has the same for many jobs that are one thing; see `GroupQueue`. `schedules` has what
    runs by itself; see `Schedules`.

    Raises StoreUnavailable, in each async method, while a store in a file can't keep anything.
    """

    def __init__(self, registry: Registry, store: Store) -> None:
        super().__init__(registry, store)
        self.groups = GroupQueue(store)
        self.schedules = Schedules(registry.schedules, self.check, store)

    async def submit(
        self,
        job_type: str,
        payload: object = UNSET,
        *,
        idempotency_key: str | None = None,
        by: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobSummary:
        """Accept a job. A worker runs it as soon as one is free, or as `options` say.

        `payload` is anything that msgspec or pydantic can write as JSON, or JSON text as a
        `msgspec.Raw`. If it is left out, it is the default of the handler's parameter, or null. If
        another job holds the `unique_key`, no job is made, and that job is returned as a
        `duplicate`. With `debounce_seconds`, it gets this payload and waits so long from now, if it
        has not begun.

        Raises UnknownJobType, InvalidPayload, InvalidOption, UnknownPredecessor, QueueFull,
        BatchTooLarge, QueueClosed, InvalidIdempotencyKey or IdempotencyKeyReused, and then nothing
        has changed.
        """
        if by is not None:
            await require_words(by)
        try:
            draft = self.check(job_type, payload, **options)
        except BaseException:
            await trio.lowlevel.checkpoint()  # whoever tries over and over lets others run, too
            raise
        request = None
        if idempotency_key is not None:
            request = await keyed_request(idempotency_key, "submit", draft)
        if by is not None:
            draft = structs.replace(draft, by=by)
        return (await self._store.submit((draft,), request))[0]

    async def submit_all(
        self,
        drafts: Iterable[Draft],
        *,
        idempotency_key: str | None = None,
        by: str | None = None,
    ) -> Sequence[JobSummary]:
        """Accept all drafts that `check` returned, in their order, or none of them.

        Of a draft that was made without `check`, only the options are checked here, and that all of
        it can be kept. Its job waits for as long as no handler has its type or takes its payload.

        Raises InvalidOption, UnknownPredecessor, QueueFull if not all of them fit, BatchTooLarge if
        they never will, QueueClosed, InvalidIdempotencyKey or IdempotencyKeyReused, and then
        nothing has changed.
        """
        await require_words(by)
        wanted = list(drafts)
        try:
            now = self._clock.now()
            for draft in wanted:
                check_draft(draft, now)
        except BaseException:
            await trio.lowlevel.checkpoint()
            raise
        request = None
        if idempotency_key is not None:
            request = await keyed_request(idempotency_key, "submit_all", wanted)
        if by is not None:
            wanted = [structs.replace(draft, by=by) for draft in wanted]
        return await self._store.submit(wanted, request)

    def check(self, job_type: str, payload: object = UNSET, **options: Unpack[JobOptions]) -> Draft:
        """Check a submission for `submit_all`, without a checkpoint; nothing has changed.

        Raises UnknownJobType, InvalidPayload or InvalidOption.
        """
        registered = self._registry.lookup(job_type)
        text = registered.absent_payload if payload is UNSET else encode_payload(payload)
        registered.check_payload(text)
        limit_key = None if registered.per is None else registered.limit_key(text)
        if not options:
            return Draft(job_type, text, registered.retry.max_retries, limit_key=limit_key)
        check_options(options, self._clock.now())
        max_retries, priority = options.get("max_retries"), options.get("priority")
        return Draft(
            job_type,
            text,
            registered.retry.max_retries if max_retries is None else max_retries,
            DEFAULT_PRIORITY if priority is None else priority,
            options.get("delay_seconds"),
            options.get("run_at"),
            options.get("unique_key"),
            tuple(dict.fromkeys(options.get("after") or ())),
            limit_key=limit_key,
            debounce_seconds=options.get("debounce_seconds"),
            tags=tuple(dict.fromkeys(options.get("tags") or ())),
        )
