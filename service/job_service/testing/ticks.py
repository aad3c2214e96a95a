"""Tells when a schedule runs next."""

from datetime import UTC, datetime
from itertools import islice

from job_service.jobs.registration.registry import Registry, require_registry
from job_service.jobs.registration.schedule import ticks_of
from job_service.testing.moments import require_zone


def next_ticks(
    registry: Registry, job_type: str, count: int = 5, *, after: datetime | None = None
) -> list[datetime]:
    """The next `count` ticks of a scheduled job type, as the clocks of its time zone show them.

    They come later than `after`, which is now if it is left out. A schedule made with `every` ticks
    as if the service had started then, in UTC.

    Raises UnknownJobType if there is no such job type; and ValueError if it has no schedule, if
    `after` has no time zone, or if `count` is negative.
    """
    if count < 0:
        raise ValueError(f"count must be 0 or more, not {count}")
    if after is not None:
        require_zone("after", after)
    require_registry("next_ticks", registry)
    registry.lookup(job_type)
    for schedule in registry.schedules:
        if schedule.job_type == job_type:
            return list(islice(ticks_of(schedule, after or datetime.now(UTC)), count))
    raise ValueError(f"the job type {job_type!r} has no schedule")
