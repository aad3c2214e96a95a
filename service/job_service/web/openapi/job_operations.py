"""The calls of jobs, described: submit, list, read, change, cancel, run again."""

from typing import Final

from job_service.jobs.queueing.filters import MAX_PAGE
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.views import Cancellations, MadeReady, Retries
from job_service.web.error_refusals import (
    ALREADY_FINISHED,
    BATCH_TOO_LARGE,
    DRAINING,
    INVALID_PAYLOAD,
    KEY_REUSED,
    NOT_FINISHED,
    NOT_PENDING,
    QUEUE_FULL,
    STORE_UNAVAILABLE,
    UNKNOWN_JOB,
    UNKNOWN_JOB_TYPE,
    UNKNOWN_PREDECESSOR,
    UNREADABLE_JOB,
    WAITS_FOR_JOBS,
)
from job_service.web.job_routes import MAX_WAIT_SECONDS
from job_service.web.openapi import examples
from job_service.web.openapi.operation import (
    CONDITIONAL,
    NOT_MODIFIED,
    Answer,
    Operation,
    Operations,
    malformed_as,
)
from job_service.web.refusals import (
    CHANGED,
    COMPRESSED,
    MALFORMED,
    NOT_A_BATCH,
    NOT_AN_EDIT,
    NOT_THE_MEDIA_TYPE,
    SLOW_BODY,
    TOO_LARGE,
    TOO_MANY_UPLOADS,
    Refusal,
)
from job_service.web.submissions import (
    MAX_BATCH_BYTES,
    MAX_BATCH_JOBS,
    MAX_JOB_BYTES,
    BatchReceipt,
)

_MADE: Final = Answer(
    "The job is accepted and waits for a worker.",
    JobSummary,
    examples.CREATED,
    ("Location", "Idempotent-Replayed"),
    makes_job=True,
)
_DUPLICATE: Final = Answer(
    "No job was made, because this one holds the unique key.",
    JobSummary,
    examples.DUPLICATE,
    ("Location", "Idempotent-Replayed"),
)
# With `wait` a submission is answered with all of the job, if there is more to tell of it.
_OR_ALL_OF_IT: Final = (JobDetail, JobSummary)
_ADMISSION: Final = (KEY_REUSED, QUEUE_FULL, DRAINING, STORE_UNAVAILABLE)


_WHICH: Final = malformed_as(
    "nothing says which jobs are meant: give a type, a status or another filter"
)
_PORTIONS: Final = (
    "If there may be more than `limit`, the answer has `next`: send it as `cursor`, with the same "
    "query, until it has none. It does no harm to send the same again."
)


def _on_a_line(refusal: Refusal) -> Refusal:
    """The same of one job of a batch."""
    return refusal._replace(detail=f"line 3: {refusal.detail}")


JOB_OPERATIONS: Final[Operations] = {
    ("POST", "/jobs"): Operation(
        "submit_job",
        "jobs",
        "Submit a job",
        "It runs as soon as a worker is free. The call never waits for room in a full queue. "
        "With `wait` it answers when the job has ended, with all of it; and if it has not ended by "
        f"then, with all of it as it is. A body may have up to {MAX_JOB_BYTES >> 20} MiB.",
        {
            200: _DUPLICATE._replace(body=_OR_ALL_OF_IT),
            201: _MADE._replace(
                description="The job is accepted. Without `wait` it waits for a worker now.",
                body=_OR_ALL_OF_IT,
            ),
        },
        (
            *(MALFORMED, UNKNOWN_JOB_TYPE, INVALID_PAYLOAD, UNKNOWN_PREDECESSOR, SLOW_BODY),
            *(TOO_LARGE, TOO_MANY_UPLOADS, NOT_THE_MEDIA_TYPE, COMPRESSED, *_ADMISSION),
        ),
        headers=("Idempotency-Key",),
        body="job",
    ),
    ("POST", "/jobs/batch"): Operation(
        "submit_batch",
        "jobs",
        "Submit many jobs at once",
        f"One job a line, up to {MAX_BATCH_JOBS:,} jobs and {MAX_BATCH_BYTES >> 20} MiB; or an "
        f"array of jobs, up to {MAX_JOB_BYTES >> 20} MiB. All of them are accepted, or none.",
        {
            201: Answer(
                "All jobs are accepted.", BatchReceipt, examples.BATCH, ("Idempotent-Replayed",)
            )
        },
        (
            _on_a_line(MALFORMED)._replace(
                when="A line, or a member of the array, is not a job; `detail` names the first."
            ),
            *(_on_a_line(UNKNOWN_JOB_TYPE), _on_a_line(INVALID_PAYLOAD), UNKNOWN_PREDECESSOR),
            SLOW_BODY,
            TOO_LARGE._replace(detail=f"the body is over {MAX_BATCH_BYTES:,} bytes"),
            *(BATCH_TOO_LARGE, TOO_MANY_UPLOADS),
            *(NOT_A_BATCH, COMPRESSED, *_ADMISSION),
        ),
        headers=("Idempotency-Key",),
        body="batch",
    ),
    ("POST", "/jobs/cancel"): Operation(
        "cancel_jobs",
        "jobs",
        "Cancel many jobs",
        f"All that are meant and have not ended, the newest first. {_PORTIONS}",
        {
            200: Answer(
                "How many are cancelled, and how many are being interrupted.",
                Cancellations,
                examples.CANCELLATIONS,
            )
        },
        (_WHICH, UNKNOWN_JOB_TYPE, STORE_UNAVAILABLE),
    ),
    ("POST", "/jobs/run-now"): Operation(
        "run_jobs_now",
        "jobs",
        "Run many jobs now",
        "All that are meant and wait for their time wait for it no longer, the newest first. "
        f"{_PORTIONS}",
        {200: Answer("How many wait no longer.", MadeReady, examples.ALL_READY)},
        (_WHICH, UNKNOWN_JOB_TYPE, STORE_UNAVAILABLE),
    ),
    ("POST", "/jobs/retry"): Operation(
        "retry_jobs",
        "jobs",
        "Run many jobs again",
        "All that are meant and have failed, or have the status that is asked for, the newest "
        "first; each as a new job, and once. To run the same jobs again within a day, send another "
        f"`Idempotency-Key`. If the queue is `full`, go on a little later. {_PORTIONS}",
        {200: Answer("How many run again.", Retries, examples.RETRIES)},
        (_WHICH, UNKNOWN_JOB_TYPE, DRAINING, STORE_UNAVAILABLE),
        headers=("Idempotency-Key",),
    ),
    ("GET", "/jobs"): Operation(
        "list_jobs",
        "jobs",
        "List jobs",
        "Oldest or newest first, a page at a time.",
        {
            200: Answer(
                "A page of jobs.", list[JobSummary], [examples.COMPLETED], ("Link", "ETag")
            ),
            304: NOT_MODIFIED,
        },
        (
            malformed_as(f"limit must be a number from 1 to {MAX_PAGE}"),
            *(UNKNOWN_JOB_TYPE, CHANGED, STORE_UNAVAILABLE),
        ),
        headers=CONDITIONAL,
    ),
    ("GET", "/jobs/{job_id}"): Operation(
        "get_job",
        "jobs",
        "Read a job",
        "All of it: its payload and result, and every attempt with its times, worker and error.",
        {
            200: Answer("The job.", JobDetail, examples.DETAIL, ("ETag",)),
            304: NOT_MODIFIED,
        },
        (
            malformed_as(f"wait must be a number of seconds from 0 to {MAX_WAIT_SECONDS}"),
            *(UNKNOWN_JOB, CHANGED, STORE_UNAVAILABLE),
        ),
        headers=CONDITIONAL,
    ),
    ("PATCH", "/jobs/{job_id}"): Operation(
        "edit_job",
        "jobs",
        "Change a job that waits",
        "Another time, priority or payload, as it would be checked with a submission. What is left "
        "out stays. A job that is ready and gets another time or priority goes behind all others "
        "of its priority.",
        {200: Answer("The job, as it is now.", JobDetail, examples.EDITED)},
        (
            malformed_as("nothing is to be changed: give run_at, priority or payload"),
            *(UNKNOWN_JOB_TYPE, INVALID_PAYLOAD, UNKNOWN_JOB, NOT_PENDING, UNREADABLE_JOB, CHANGED),
            *(SLOW_BODY, TOO_LARGE, TOO_MANY_UPLOADS, NOT_AN_EDIT, COMPRESSED),
            *(QUEUE_FULL, STORE_UNAVAILABLE),
        ),
        headers=("If-Match",),
        body="edit",
    ),
    ("POST", "/jobs/{job_id}/run-now"): Operation(
        "run_job_now",
        "jobs",
        "Run a job now",
        "It waits no longer for its time: a job for later, or one that was snoozed or is retried. "
        "Pauses and limits still hold it back. A job that is ready stays as it is.",
        {200: Answer("The job, as it is now.", JobDetail, examples.MADE_READY)},
        (
            *(UNKNOWN_JOB, NOT_PENDING, WAITS_FOR_JOBS, UNREADABLE_JOB, CHANGED),
            STORE_UNAVAILABLE,
        ),
        headers=("If-Match",),
    ),
    ("POST", "/jobs/{job_id}/cancel"): Operation(
        "cancel_job",
        "jobs",
        "Cancel a job",
        "A pending job ends at once, a running one at its next checkpoint: it may still be "
        "`processing` in the answer.",
        {200: Answer("The job, as it is now.", JobDetail, examples.CANCELLED)},
        (UNKNOWN_JOB, ALREADY_FINISHED, CHANGED, STORE_UNAVAILABLE),
        headers=("If-Match",),
    ),
    ("POST", "/jobs/{job_id}/retry"): Operation(
        "retry_job",
        "jobs",
        "Run a job again",
        "Makes a new job with the payload of one that has ended; its `retry_of` names that one.",
        {200: _DUPLICATE, 201: _MADE},
        (
            malformed_as('send one Idempotency-Key, like "8e03978e-40d5-43dd-bc93-6894a57f9324"'),
            *(UNKNOWN_JOB, NOT_FINISHED, UNREADABLE_JOB, CHANGED, *_ADMISSION),
        ),
        headers=("Idempotency-Key", "If-Match"),
    ),
}
