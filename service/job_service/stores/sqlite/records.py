"""Jobs as rows of the file, and back."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Job
from job_service.stores.commit import Act
from job_service.stores.contract import KeyedRequest, Tick
from job_service.stores.record import decode, encode, record_of, restore
from job_service.stores.sqlite import rows

_decode_summaries = msgspec.json.Decoder(list[JobSummary]).decode


class Pause(msgspec.Struct, frozen=True):
    """Jobs of a type, or all if it is None, are to start or not."""

    job_type: str | None
    paused: bool


class Remembered(msgspec.Struct, frozen=True):
    """A request with an idempotency key, the jobs that it made, and until when it counts."""

    request: KeyedRequest
    jobs: Sequence[JobSummary]
    until: datetime


def batch_of(acts: Iterable[Act]) -> rows.Batch:
    """All that these acts have changed, as it is now."""
    batch = rows.Batch([], [], [], [], [], [])
    changed = dict[str, Job]()
    for act in acts:
        changed |= act.jobs
        batch.payloads.extend((job.id, job.payload.decode()) for job in act.created)
        for item in act.beside:
            _add(batch, item)
    batch.jobs.extend(map(_row, changed.values()))
    return batch


def job_of(kept: rows.KeptJob) -> Job:
    """The job of a row that was read with its payload."""
    return restore(
        decode(kept.record.encode()),
        kept.payload.encode(),
        None if kept.result is None else kept.result.encode(),
    )


def summarized(row: rows.JobRow) -> Job:
    """As `job_of`, but for a summary, which shows neither payload nor result."""
    return restore(decode(row.record.encode()), b"")


def remembered(row: rows.KeyRow) -> Remembered:
    """What is remembered of a request."""
    until = datetime.fromisoformat(row.until)
    return Remembered(KeyedRequest(row.key, row.asked), _decode_summaries(row.jobs), until)


def text_of(moment: datetime) -> str:
    """A moment as the file has it: in UTC, with microseconds, so that texts sort by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _row(job: Job) -> rows.JobRow:
    return rows.JobRow(
        job.id,
        job.type,
        job.status,
        job.priority,
        text_of(job.created_at),
        text_of(job.run_at),
        None if job.finished_at is None else text_of(job.finished_at),
        encode(record_of(job)).decode(),
        None if job.result is None else job.result.decode(),
    )


def _add(batch: rows.Batch, item: object) -> None:
    match item:
        case Pause(job_type, paused):
            batch.pauses.append((job_type or "", paused))
        case Remembered(request, jobs, until):
            text = msgspec.json.encode(jobs).decode()
            batch.keys.append(rows.KeyRow(request.key, request.asked, text_of(until), text))
        case rows.KeyedEnd():
            batch.keyed_ends.append(item)
        case Tick(schedule, at, job_id):
            batch.ticks.append(rows.Tick(schedule, text_of(at), job_id))
        case _:
            raise TypeError(f"nothing keeps {item!r}")
