"""Assertions on jobs that have ended: an error of theirs tells what became of each attempt."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET

from job_service.jobs.state.detail import AttemptDetail, JobDetail


def assert_completed(job: JobDetail, result: object = UNSET) -> Any:
    """Check that a job has completed, with this result if it is given; gives the decoded result.

    Both are compared as JSON, so a Struct equals the object that it becomes. Raises AssertionError,
    which tells of all attempts.
    """
    __tracebackhide__ = True
    if job.status != "completed" or job.result is None:
        _object(f"it is {job.status}, and not completed", job)
    is_result = msgspec.json.decode(job.result)
    if result is not UNSET and (wanted := msgspec.to_builtins(result)) != is_result:
        _object(f"its result is {is_result!r}, and not {wanted!r}", job)
    return is_result


def assert_failed(job: JobDetail, error: str = "") -> str:
    """Check that a job has failed for good, with this in its error; gives the error.

    Raises AssertionError, which tells of all attempts.
    """
    __tracebackhide__ = True
    if job.status != "failed":
        _object(f"it is {job.status}, and has not failed", job)
    if error not in (job.error or ""):
        _object(f"its error is not {error!r}", job)
    return job.error or ""


def waits(job: JobDetail) -> list[float]:
    """For how many seconds the job waited between its attempts."""
    return [
        round((later.started_at - earlier.finished_at).total_seconds(), 6)
        for earlier, later in pairwise(job.attempts)
        if earlier.finished_at is not None
    ]


def story(job: JobDetail) -> str:
    """What became of the job and of each of its attempts, for people."""
    return "\n".join(_lines(job))


def _object(what: str, job: JobDetail) -> NoReturn:
    __tracebackhide__ = True
    raise AssertionError(f"{what}. {story(job)}")


def _lines(job: JobDetail) -> Iterator[str]:
    why = f" ({job.waits_because})" if job.waits_because else ""
    yield f"The job {job.type} {job.id}: {job.status}{why}"
    yield f"  payload: {bytes(job.payload).decode()}"
    if job.tags:
        yield f"  tags: {', '.join(job.tags)}"
    for attempt in job.attempts:
        yield f"  {_told(attempt)}"
    if not job.attempts and job.error is not None:
        yield f"  {job.error}"
    if job.attempts and (traceback := job.attempts[-1].traceback):
        yield from traceback.rstrip().splitlines()


def _told(attempt: AttemptDetail) -> str:
    told = f"attempt {attempt.attempt} at {attempt.started_at:%Y-%m-%d %H:%M:%S}: "
    told += f"{attempt.outcome or 'runs'}"
    if attempt.run_seconds is not None:
        told += f" after {attempt.run_seconds:g} s"
    return told if attempt.error is None else f"{told}: {attempt.error}"
