"""Jobs as rows of the file, and back."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from datetime import datetime

import msgspec

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.group import Group, Standing
from job_service.jobs.state.job_filter import folded_error
from job_service.jobs.state.model import Job
from job_service.jobs.state.schedule_state import ScheduleState
from job_service.jobs.state.stand_in import StandIn
from job_service.stores.labels import labels_of
from job_service.stores.record import encode, record_of, restore
from job_service.stores.sqlite import rows
from job_service.stores.unit_of_work import Pause, Remembered, ScheduleRun, UnitOfWork
from job_service.stores.unreadable import (
    Columns,
    record_in_row,
    require_json,
    stand_in,
    time_of,
    why_unreadable,
)

_encode_time = msgspec.json.Encoder().encode
_decode_summaries = msgspec.json.Decoder(list[JobSummary]).decode
_decode_labels = msgspec.json.Decoder(list[str]).decode
_decode_group = msgspec.json.Decoder(Group).decode
_decode_standing = msgspec.json.Decoder(Standing).decode


def batch_of(units: Iterable[UnitOfWork], keyed: Container[str]) -> rows.Batch:
    """All that these units have changed, as it is now. Keys tell of `keyed` jobs."""
    changed = dict[str, Job]()
    created, edited, ended = list[Job](), list[Job](), list[Job]()
    beside = list[object]()
    groups = dict[str, Standing]()
    for unit in units:
        changed |= unit.jobs
        created += unit.created
        edited += unit.edited
        ended += unit.ended
        beside += unit.beside
        if unit.groups:
            groups |= unit.groups
    return rows.Batch(
        jobs=[_row(job) for job in changed.values()],
        payloads=[(job.id, job.payload.decode()) for job in (*created, *edited)],
        labels=[(label, job.id) for job in created for label in labels_of(job)],
        keys=[_key_row(item) for item in beside if isinstance(item, Remembered)],
        keyed_ends=[_keyed_end(job) for job in ended if job.id in keyed],
        pauses=[(item.job_type or "", item.paused) for item in beside if isinstance(item, Pause)],
        schedules=[*map(_schedule_row, _states_in(beside))],
        ended=[
            rows.FinishedCount(job_type, status, jobs)
            for (job_type, status), jobs in Counter((job.type, job.status) for job in ended).items()
        ],
        groups=[_group_row(group_id, standing) for group_id, standing in groups.items()],
        group_definitions=[(item.id, _text(item)) for item in beside if isinstance(item, Group)],
    )


def job_of(kept: rows.KeptJob) -> Job:
    """The job of a row that was read with its payload. Raises ValueError if it can't be read."""
    record = record_in_row(kept.record.decode(), kept.id, kept.status)
    if kept.payload is None:
        raise ValueError("its payload is lost")
    require_json(kept.payload)
    if kept.result is not None:
        require_json(kept.result)
    return restore(record, kept.payload, kept.result)


def summarized(row: rows.JobRow) -> Job:
    """As `job_of`, but for a summary, which shows neither payload nor result.

    If the record can't be read, that is what stands for the job.
    """
    try:
        return restore(record_in_row(row.record, row.id, row.status), b"")
    except ValueError as error:
        return stand_in(Columns(*row[:4], *_times(row)), why_unreadable(error))


def readable(kept: Iterable[rows.KeptJob]) -> tuple[dict[str, Job], dict[str, str]]:
    """The jobs of these rows by id, and why the records of the others can't be read."""
    jobs, failures = dict[str, Job](), dict[str, str]()
    for each in kept:
        try:
            jobs[each.id] = job_of(each)
        except ValueError as error:
            failures[each.id] = why_unreadable(error)
    return jobs, failures


def stands_for(row: rows.BesideRecord, why: str) -> StandIn:
    """What stands for a job whose record can't be read for this reason."""
    labels = _decode_labels(row.labels)
    return stand_in(Columns(*row[:4], *_times(row), row.payload, row.result, labels), why)


def answer_of(row: rows.KeyRow) -> list[JobSummary]:
    """What a request with this key was answered with. Raises ValueError if it can't be read."""
    return _decode_summaries(row.jobs)


def group_of(kept: rows.KeptGroup) -> tuple[Group, Standing]:
    """A group of a row, and how far it has come. Raises ValueError if it can't be read."""
    return _decode_group(kept.definition), _decode_standing(kept.standing)


def text_of(moment: datetime) -> str:
    """A moment in UTC as the file has it: always with six digits, so that texts sort by time."""
    text = _encode_time(moment)[1:-1].decode()  # strftime would take ten times as long
    return text if moment.microsecond else f"{text[:-1]}.000000Z"


def _row(job: Job) -> rows.JobRow:
    created_at = text_of(job.created_at)
    return rows.JobRow(
        job.id,
        job.type,
        job.status,
        job.priority,
        created_at,
        created_at if job.run_at is job.created_at else text_of(job.run_at),
        _text_if_any(job.finished_at),
        encode(record_of(job)).decode(),
        None if job.result is None else job.result.decode(),
        folded_error(job),
    )


def _states_in(beside: Iterable[object]) -> Iterator[ScheduleState]:
    for item in beside:
        if isinstance(item, ScheduleRun):
            yield item.after
        elif isinstance(item, ScheduleState):
            yield item


def _schedule_row(state: ScheduleState) -> rows.Schedule:
    return rows.Schedule(
        schedule=state.schedule,
        ticked_at=_text_if_any(state.ticked_at),
        last_run_at=_text_if_any(state.last_run_at),
        last_job_id=state.last_job_id,
        paused_since=_text_if_any(state.paused_since),
        paused_by=state.paused_by,
        resumed_at=_text_if_any(state.resumed_at),
    )


def _text_if_any(moment: datetime | None) -> str | None:
    return None if moment is None else text_of(moment)


def _times(row: rows.JobRow | rows.BesideRecord) -> tuple[datetime, datetime, datetime | None]:
    finished_at = None if row.finished_at is None else time_of(row.finished_at)
    return time_of(row.created_at), time_of(row.run_at), finished_at


def _group_row(group_id: str, standing: Standing) -> rows.GroupRow:
    return rows.GroupRow(group_id, _text_if_any(standing.ended_at), _text(standing))


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _key_row(remembered: Remembered) -> rows.KeyRow:
    request, jobs = remembered.request, _text(remembered.jobs)
    return rows.KeyRow(request.key, request.asked, text_of(remembered.until), jobs)


def _keyed_end(job: Job) -> rows.KeyedEnd:
    return rows.KeyedEnd(job.id, job.status, text_of(job.finished_at or job.created_at))
