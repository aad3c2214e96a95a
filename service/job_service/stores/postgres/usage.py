"""How much of the limits of job types is used up, by the jobs and starts of all processes."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from job_service.jobs.state.limits import NO_LIMITS, Limits
from job_service.jobs.state.model import Job
from job_service.stores.postgres.arrays import JOINED, joined, plain, texts
from job_service.stores.postgres.rows import Statement, text_of_key

MANY: Final = 1_000_000

# In one statement, so that a job that starts meanwhile is seen before that, or as started.
USAGE: Final = """
    SELECT type, limit_key, sum(held)::int, sum(coming)::int, sum(recent)::int, min(until) FROM (
        SELECT type, limit_key, 1 AS held, (status = 'pending')::int AS coming, 0 AS recent,
            NULL::timestamptz AS until
        FROM job_service.jobs WHERE node IS NOT NULL AND type = ANY(%(types)s)
        UNION ALL
        SELECT type, limit_key, 0, 0, 1, until
        FROM job_service.starts WHERE type = ANY(%(types)s) AND until > %(now)s
    ) AS used
    GROUP BY type, limit_key
"""
_NOTE_STARTS: Final = f"""
    INSERT INTO job_service.starts (job_id, attempt, type, limit_key, until)
    SELECT * FROM unnest({JOINED}, %s::int[], {JOINED}, %s::text[], %s::timestamptz[])
    ON CONFLICT DO NOTHING
"""


class Usage(NamedTuple):
    """The jobs of one type or key that processes hold, and its starts that count for the rate.

    Of the `held` jobs, `coming` ones have not started. `until` is when the oldest start counts no
    more.
    """

    held: int = 0
    coming: int = 0
    recent: int = 0
    until: datetime | None = None

    def room(self, limits: Limits) -> int:
        """How many more jobs may be taken."""
        room = MANY if limits.concurrency is None else limits.concurrency - self.held
        if limits.starts is not None:
            room = min(room, limits.starts - self.recent - self.coming)
        return room

    def why_held(self, limits: Limits, of: str, now: datetime) -> str | None:
        """Which limit keeps a ready job `of` this type or key from being taken, if one does."""
        if limits.concurrency is not None and self.held >= limits.concurrency:
            return limits.why_full(of, self.held)
        if self.room(limits) > 0:
            return None
        return limits.why_fast(
            of, math.inf if self.until is None else (self.until - now).total_seconds()
        )

    def plus(self, other: "Usage") -> "Usage":
        """That of both together."""
        until = min((each for each in (self.until, other.until) if each is not None), default=None)
        return Usage(
            self.held + other.held, self.coming + other.coming, self.recent + other.recent, until
        )


class Usages:
    """What is used of each type that has limits, and of each of its keys if they hold per key."""

    def __init__(self, limits: Mapping[str, Limits], rows: Iterable[tuple[Any, ...]]) -> None:
        self._limits = limits
        self._used: dict[str, dict[str | None, Usage]] = {}
        for job_type, key, *numbers in rows:
            usage, own = Usage(*numbers), key if limits[job_type].is_per_key else None
            of_type = self._used.setdefault(job_type, {})
            of_type[own] = of_type[own].plus(usage) if own in of_type else usage

    def of(self, job_type: str, key: str | None = None) -> Usage:
        """That of a type, or of one of its keys."""
        return self._used.get(job_type, {}).get(key, Usage())

    def rooms(self, job_type: str) -> dict[str, int]:
        """How many more jobs may be taken of those keys of which any place is taken."""
        used, limits = self._used.get(job_type, {}), self._limits[job_type]
        return {key: usage.room(limits) for key, usage in used.items() if key is not None}


def limited(limits: Mapping[str, Limits]) -> list[str]:
    """The job types that have any limits."""
    return [name for name, each in limits.items() if each != NO_LIMITS]


def note_starts(
    jobs: Iterable[Job], limits: Mapping[str, Limits], now: datetime
) -> Statement | None:
    """Keep which attempts of these jobs count for the rates of their types; None if none does."""
    rows = [
        (job, attempt.number, until)
        for job in jobs
        if (of_type := limits.get(job.type)) is not None and of_type.starts is not None
        for attempt in job.attempts
        if (until := of_type.until(attempt.started_at)) > now
    ]
    if not rows:
        return None
    return Statement(
        _NOTE_STARTS,
        *joined([job.id for job, _, _ in rows]),
        plain([number for _, number, _ in rows]),
        *joined([job.type for job, _, _ in rows]),
        texts([text_of_key(job) for job, _, _ in rows]),
        plain([until for _, _, until in rows]),
    )
