"""The command `check MODULE:NAME`: what a registry has, and what of it could not work."""

import pickle
import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union

import msgspec

from job_service.errors import InvalidPayload
from job_service.failures.report import describe
from job_service.jobs.registration.handler import name_of, place_of
from job_service.jobs.registration.job_type import JobType
from job_service.jobs.registration.placement import RunsIn
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.schedule import Cron, Schedule, ticks_of

_TICKS: Final = 5
_PLACES: Final[dict[RunsIn, str]] = {
    "loop": "on the loop",
    "thread": "in a thread",
    "process": "in a process",
    "asyncio": "on asyncio's loop",
}


class TypeReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A job type. `payload` is how its annotation reads; without one, it takes none."""

    type: str
    handler: str
    runs_in: RunsIn
    payload: str | None = None
    payload_required: bool = False
    max_retries: int
    timeout_seconds: float | None = None
    concurrency: int | None = None
    rate_starts: int | None = None
    rate_seconds: float | None = None
    per_key: bool = False
    resources: tuple[str, ...] = ()


class ScheduleReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A schedule, and its next ticks by the clocks of its time zone."""

    type: str
    cron: str | None = None
    timezone: str | None = None
    every_seconds: float | None = None
    next: list[datetime]


class RegistryReport(msgspec.Struct, kw_only=True):
    """What was found out. A problem keeps jobs from running; a note is worth a look."""

    registry: str
    types: list[TypeReport]
    resources: list[str]
    schedules: list[ScheduleReport]
    problems: list[str]
    notes: list[str]

    @property
    def is_well(self) -> bool:
        """Whether all of it can work."""
        return not self.problems


def examine_registry(name: str, registry: Registry, now: datetime | None = None) -> RegistryReport:
    """Look at all that was registered, without running any of it."""
    job_types = [registry.lookup(each) for each in registry.names]
    return RegistryReport(
        registry=name,
        types=[_type_report(job_type) for job_type in job_types],
        resources=list(registry.resources),
        schedules=[_schedule_report(each, now or datetime.now(UTC)) for each in registry.schedules],
        problems=list(_problems(job_types)),
        notes=list(_notes(job_types, registry)),
    )


def lines_of_registry(report: RegistryReport) -> Iterator[str]:
    """The report for people."""
    width = max((len(each.type) for each in report.types), default=0)
    for job_type in report.types:
        yield f"{job_type.type:{width}}  {', '.join(_terms(job_type))}"
    if report.resources:
        yield f"resources, in the order in which they open: {', '.join(report.resources)}"
    for schedule in report.schedules:
        times = f"{schedule.cron} {schedule.timezone}"
        if schedule.every_seconds is not None:
            times = f"every {schedule.every_seconds:g} s, if it started now"
        yield f"schedule {schedule.type}: {times}"
        yield from (f"  {tick:%a %Y-%m-%d %H:%M:%S %z}" for tick in schedule.next)
    yield from (f"note: {note}" for note in report.notes)
    yield from (f"wrong: {problem}" for problem in report.problems)
    yield "All of it can work." if report.is_well else "Not all of it can work."


def _type_report(job_type: JobType) -> TypeReport:
    takes_payload = job_type.payload_parameter is not None
    return TypeReport(
        type=job_type.name,
        handler=name_of(job_type.handler),
        runs_in=job_type.runs_in,
        payload=_as_written(job_type.payload_decoder.type) if takes_payload else None,
        payload_required=not _takes(job_type, job_type.absent_payload),
        max_retries=job_type.retry.max_retries,
        timeout_seconds=job_type.timeout,
        concurrency=job_type.limits.concurrency,
        rate_starts=job_type.limits.starts,
        rate_seconds=job_type.limits.per_seconds if job_type.limits.starts else None,
        per_key=job_type.limits.is_per_key,
        resources=job_type.resource_parameters,
    )


def _schedule_report(schedule: Schedule, now: datetime) -> ScheduleReport:
    times = schedule.times
    ticks = list(islice(ticks_of(schedule, now), _TICKS))
    if isinstance(times, Cron):
        return ScheduleReport(
            type=schedule.job_type, cron=times.expression, timezone=times.timezone, next=ticks
        )
    return ScheduleReport(type=schedule.job_type, every_seconds=times.seconds, next=ticks)


def _problems(job_types: list[JobType]) -> Iterator[str]:
    if not job_types:
        yield "it has no job types: perhaps the module that registers them is not imported"
    for job_type in job_types:
        if job_type.runs_in == "process" and (why := _why_unsendable(job_type.handler)):
            yield f"{job_type.name}: no process can have its handler: {why}"


def _why_unsendable(handler: Any) -> str | None:
    """What keeps a process from having it, now that its module has been imported to its end."""
    try:
        pickle.loads(pickle.dumps(handler))  # noqa: S301  # our own
    except Exception as error:
        return f"{describe(error)}{place_of(handler)}"
    return None


def _notes(job_types: list[JobType], registry: Registry) -> Iterator[str]:
    for job_type in job_types:
        if job_type.payload_parameter is not None and job_type.payload_decoder.type is Any:
            parameter = job_type.payload_parameter
            yield f"{job_type.name}: payloads are not checked: {parameter!r} may be anything"
    taken = {name for job_type in job_types for name in job_type.needed_resources}
    for name in registry.resources:
        if name not in taken:
            yield f"resource {name}: neither a handler nor a hook takes it"


def _terms(job_type: TypeReport) -> Iterator[str]:
    yield _PLACES[job_type.runs_in]
    if job_type.payload is None:
        yield "no payload"
    else:
        yield f"payload {job_type.payload}{'' if job_type.payload_required else ' (may be absent)'}"
    yield f"{job_type.max_retries} retries" if job_type.max_retries != 1 else "1 retry"
    if job_type.timeout_seconds is not None:
        yield f"{job_type.timeout_seconds:g} s at most"
    if job_type.concurrency is not None:
        yield f"{job_type.concurrency} at a time"
    if job_type.rate_starts is not None:
        yield f"{job_type.rate_starts} in {job_type.rate_seconds:g} s"
    if job_type.per_key:
        yield "for each key"
    if job_type.resources:
        yield f"with {' and '.join(job_type.resources)}"


def _takes(job_type: JobType, payload: bytes) -> bool:
    try:
        job_type.check_payload(payload)
    except InvalidPayload:
        return False
    return True


def _as_written(annotation: Any) -> str:
    """The annotation as a program would write it, without modules and notes."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _as_written(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(map(_as_written, arguments))
    if origin is not None and origin is not Literal:
        inner = ("…" if each is ... else _as_written(each) for each in arguments)
        return f"{_as_written(origin)}[{', '.join(inner)}]"
    if annotation is NoneType:
        return "None"
    if isinstance(annotation, type):
        return annotation.__qualname__
    return str(annotation).removeprefix("typing.")
