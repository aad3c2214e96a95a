"""The queue, its types, workers, schedules and processes as programs see them: frozen copies.

They are the API's JSON, too, and so are the answers to what is done to many jobs.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec


class WorkerView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one worker does, and since when. The job, its type and its attempt are those it runs."""

    worker_id: str
    state: Literal["idle", "busy"]
    job_id: str | None = None
    job_type: str | None = None
    attempt: int | None = None
    since: datetime


class NodeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process among those that share a store. `node` is a name that it has until it ends.

    Its jobs are safe for `lease_seconds`, which it renews all the time. If they are over, others
    run its jobs. Of those that it holds, `processing` ones run, and `waiting` ones are about to.
    `job_types` are those that it can run. `is_asked` marks the process that answers.
    """

    node: str
    host: str
    pid: int
    version: str
    started_at: datetime
    lease_seconds: float
    job_types: list[str]
    processing: int
    waiting: int
    is_asked: bool = False


class TypeQueue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The jobs of one type that have not ended.

    `oldest_ready_seconds` is how long the oldest of its `ready` jobs has been ready.
    `seconds_to_empty` is how long it takes to start them all, if as many begin a second as in the
    last minute, and no others come in. It is absent if that is not known, as when none has begun.
    """

    type: str
    pending: int
    ready: int
    processing: int
    oldest_ready_seconds: float | None = None
    seconds_to_empty: float | None = None


class QueueView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs wait, and for what; and what is paused.

    Of the `pending` jobs, `ready` ones wait for a worker, `later` ones for their time, `blocked`
    ones for other jobs, and `unfit` ones for a program that can run them. `oldest_ready_seconds` is
    how long the oldest ready job has been ready. `capacity` bounds how many jobs may wait. `store`
    is where jobs are kept, without a password, and `finished` how many it keeps that have ended.
    `types` has each job type, those without a handler only if they have jobs that have not ended.
    """

    paused: bool
    paused_types: list[str]
    capacity: int
    pending: int
    ready: int
    later: int
    blocked: int
    unfit: int
    processing: int
    oldest_ready_seconds: float | None = None
    store: str
    finished: int | None = None
    types: list[TypeQueue]


def with_types(view: QueueView, names: Iterable[str]) -> QueueView:
    """The view, with these job types in it whether or not there are jobs of them."""
    types = {
        name: TypeQueue(type=name, pending=0, ready=0, processing=0, seconds_to_empty=0.0)
        for name in names
    }
    types |= {each.type: each for each in view.types}
    return msgspec.structs.replace(view, types=[types[name] for name in sorted(types)])


class TypeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job type: the terms on which its jobs run, and how many jobs it has in each state.

    One without a handler here has no terms, so no `runs_in` and no `max_retries`. Jobs that have
    ended count for as long as they are kept. `concurrency` is how many may run at the same time,
    and in any `rate_seconds`, at most `rate_starts` may start. If `per_key`, that holds for the
    jobs of each limit key, and keys take turns. `is_limited` says whether any of this may hold its
    jobs back. Of a `sensitive` one, payloads and results are for those who may operate.
    """

    type: str
    runs_in: Literal["loop", "thread", "process", "asyncio"] | None = None
    max_retries: int | None = None
    timeout_seconds: float | None = None
    concurrency: int | None = None
    rate_starts: int | None = None
    rate_seconds: float | None = None
    per_key: bool = False
    sensitive: bool = False
    is_limited: bool = False
    paused: bool
    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int
    abandoned: int


class Cancellations(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many pending jobs were cancelled, and how many running jobs are being interrupted.

    If there may be more, `next` is where to go on.
    """

    cancelled: int
    interrupted: int
    next: str | None = None


class MadeReady(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs wait no longer for their time. If there may be more, `next` goes on."""

    made_ready: int
    next: str | None = None


class Retries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs run again, as new ones. If there may be more, `next` is where to go on.

    If the queue has become `full`, try again from there a little later.
    """

    retried: int
    full: bool = False
    next: str | None = None


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One schedule: when it submits jobs, and what it has done.

    It has `cron` and `timezone`, or `every_seconds`. `skipped` counts the ticks that should have
    made a job, and did not. `next_ticks` are the next five; `next_run_at` is the first of them.
    They are absent until the service has started. If the schedule is `paused`, `paused_since` and,
    if they gave a name, `paused_by` say since when and by whom. Its next ticks are then those that
    it has if it is resumed in time.
    """

    schedule: str
    type: str
    cron: str | None = None
    timezone: str | None = None
    every_seconds: float | None = None
    next_run_at: datetime | None = None
    next_ticks: list[datetime] = []
    last_run_at: datetime | None = None
    last_job_id: str | None = None
    skipped: int
    paused: bool
    paused_since: datetime | None = None
    paused_by: str | None = None
