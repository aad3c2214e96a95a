"""Every call of the API, told: what it is for, what it takes, and all it can answer."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from msgspec import Raw, Struct, structs

from job_service.jobs.state.detail import (
    AttemptDetail,
    Cancellations,
    JobDetail,
    JobSummary,
    QueueView,
    ScheduleView,
    TypeView,
    WorkerView,
)
from job_service.telemetry.events import JobStarted
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.web.job_routes import MAX_PAGE, MAX_WAIT_SECONDS
from job_service.web.openapi import parameters
from job_service.web.openapi.components import Health
from job_service.web.openapi.refusals import (
    ALREADY_FINISHED,
    BATCH_TOO_LARGE,
    CHANGED,
    DRAINING,
    INVALID_PAYLOAD,
    KEY_REUSED,
    MALFORMED,
    NO_SUCH_FILE,
    NOT_FINISHED,
    NOT_READY,
    NOT_THE_MEDIA_TYPE,
    QUEUE_FULL,
    SLOW_BODY,
    TOO_LARGE,
    TOO_MANY_UPLOADS,
    UNKNOWN_JOB,
    UNKNOWN_JOB_TYPE,
    UNKNOWN_PREDECESSOR,
    Refusal,
)
from job_service.web.submissions import MAX_BATCH_BYTES, BatchReceipt

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"


class Answer(NamedTuple):
    """What a call answers when all goes well. `body` is a struct, or a list of one."""

    description: str
    body: Any = None
    example: Any = None
    headers: tuple[str, ...] = ()
    media_type: str = JSON
    makes_job: bool = False


class Operation(NamedTuple):
    """One call; the problems that any call may have are not repeated here."""

    id: str
    tag: str
    summary: str
    description: str
    answers: dict[int, Answer]
    refusals: tuple[Refusal, ...] = ()
    query: type[Struct] | None = None
    headers: type[Struct] | None = None
    body: Literal["job", "batch"] | None = None


def _malformed(detail: str) -> Refusal:
    """The problem of a request that is not as described, with an example of this call."""
    return MALFORMED._replace(detail=detail)


def _on_a_line(refusal: Refusal) -> Refusal:
    """The same of one job of a batch."""
    return refusal._replace(detail=f"line 3: {refusal.detail}")


TAGS: Final = {
    "jobs": "Submit work, follow it, call it off, run it again.",
    "operations": "What those on call look at.",
    "documentation": "This API, described.",
    "dashboard": "The service, to look at in a browser.",
}

_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
_T0: Final = datetime(2026, 1, 31, 9, 30, 0, 125_000, UTC)
_T1: Final = _T0 + timedelta(seconds=0.75)

_CREATED: Final = JobSummary(id=_ID, type="echo", status="pending", created_at=_T0, max_retries=3)
_COMPLETED: Final = JobSummary(
    id=_ID,
    type="echo",
    status="completed",
    created_at=_T0,
    finished_at=_T1,
    attempt=1,
    max_retries=3,
)
_DETAIL: Final = JobDetail(
    id=_ID,
    type="echo",
    status="completed",
    created_at=_T0,
    finished_at=_T1,
    attempt=1,
    max_retries=3,
    payload=Raw(b'{"any":"JSON"}'),
    result=Raw(b'{"any":"JSON"}'),
    attempts=[
        AttemptDetail(
            attempt=1,
            worker_id="worker-1",
            started_at=_T0 + timedelta(seconds=0.25),
            finished_at=_T1,
            run_seconds=0.5,
            outcome="completed",
        )
    ],
)
_CALLED_OFF: Final = JobDetail(
    id=_ID,
    type="echo",
    status="cancelled",
    created_at=_T0,
    finished_at=_T1,
    max_retries=3,
    payload=Raw(b"null"),
    attempts=[],
)
_WORKERS: Final = [
    WorkerView(
        worker_id="worker-1", state="busy", since=_T0, job_id=_ID, job_type="echo", attempt=1
    ),
    WorkerView(worker_id="worker-2", state="idle", since=_T1),
]
_SCHEDULES: Final = [
    ScheduleView(
        schedule="nightly",
        type="nightly",
        cron="0 3 * * *",
        timezone="Europe/Berlin",
        next_run_at=datetime(2026, 2, 1, 2, 0, 0, 0, UTC),
        skipped=0,
    )
]
_METRICS: Final = MetricsSnapshot(
    jobs_created=10,
    jobs_completed=5,
    jobs_failed=1,
    jobs_retried=3,
    jobs_in_progress=1,
    jobs_pending=2,
    jobs_cancelled=1,
    jobs_abandoned=0,
    jobs_rejected=4,
    workers_running=10,
    queue_capacity=1000,
    wait_seconds_total=1.25,
    run_seconds_total=7.5,
    loop_stalls=0,
    log_lines_dropped=0,
    uptime_seconds=3600.5,
    connections_refused=0,
    jobs_ready=1,
    jobs_snoozed=2,
    jobs_deduplicated=0,
    queue_paused=0,
    job_types_paused=0,
    ticks_skipped=0,
    jobs_bytes=52480,
    threads_abandoned=0,
)
_QUEUE: Final = QueueView(
    paused=False,
    paused_types=["report"],
    capacity=1000,
    pending=5,
    ready=3,
    later=1,
    blocked=1,
    processing=10,
    oldest_ready_seconds=0.75,
)
_TYPE: Final = TypeView(
    type="echo",
    runs_in="loop",
    max_retries=3,
    concurrency=2,
    paused=False,
    pending=5,
    processing=2,
    completed=100,
    failed=1,
    cancelled=0,
    abandoned=0,
)
_EVENT: Final = JobStarted(
    timestamp=_T0,
    job_id=_ID,
    job_type="echo",
    worker_id="worker-1",
    attempt=1,
    wait_seconds=0.25,
)

_MADE: Final = Answer(
    "The job is accepted and waits for a worker.",
    JobSummary,
    _CREATED,
    ("Location", "Idempotent-Replayed"),
    makes_job=True,
)
_DUPLICATE: Final = Answer(
    "No job was made: this one holds the unique key.",
    JobSummary,
    structs.replace(_CREATED, unique_key="a key", duplicate=True),
    ("Location", "Idempotent-Replayed"),
)
_NOT_MODIFIED: Final = Answer("Nothing has changed since `If-None-Match`.", headers=("ETag",))
_INTAKE: Final = (KEY_REUSED, QUEUE_FULL, DRAINING)
_BODY: Final = (SLOW_BODY, TOO_LARGE, TOO_MANY_UPLOADS, NOT_THE_MEDIA_TYPE)

OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/jobs"): Operation(
        "submit_job",
        "jobs",
        "Submit a job",
        "It is run as soon as a worker is free. The call never waits for room in a full queue. "
        "A body may have up to 1 MiB.",
        {200: _DUPLICATE, 201: _MADE},
        (
            MALFORMED,
            UNKNOWN_JOB_TYPE,
            INVALID_PAYLOAD,
            UNKNOWN_PREDECESSOR,
            *_BODY,
            *_INTAKE,
        ),
        headers=parameters.SubmissionHeaders,
        body="job",
    ),
    ("POST", "/jobs/batch"): Operation(
        "submit_batch",
        "jobs",
        "Submit many jobs at once",
        "One job a line, up to 10,000 jobs and 16 MiB. All of them are accepted, or none.",
        {
            201: Answer(
                "All jobs are accepted.", BatchReceipt, {"ids": [_ID]}, ("Idempotent-Replayed",)
            )
        },
        (
            _on_a_line(MALFORMED)._replace(
                when="A line is not a job; the detail names the first such line."
            ),
            _on_a_line(UNKNOWN_JOB_TYPE),
            _on_a_line(INVALID_PAYLOAD),
            UNKNOWN_PREDECESSOR,
            SLOW_BODY,
            TOO_LARGE._replace(detail=f"the body is over {MAX_BATCH_BYTES:,} bytes"),
            BATCH_TOO_LARGE,
            TOO_MANY_UPLOADS,
            NOT_THE_MEDIA_TYPE._replace(
                detail=f"send the jobs as JSON, a line each, with the header Content-Type: {NDJSON}"
            ),
            *_INTAKE,
        ),
        headers=parameters.SubmissionHeaders,
        body="batch",
    ),
    ("POST", "/jobs/cancel"): Operation(
        "cancel_jobs",
        "jobs",
        "Call off all jobs of a type",
        "Those that come in meanwhile are spared.",
        {
            200: Answer(
                "All were called off that had not ended.",
                Cancellations,
                Cancellations(cancelled=4, interrupted=1),
            )
        },
        (_malformed("say whose jobs to cancel, as in ?type=email"), UNKNOWN_JOB_TYPE),
        query=parameters.CancelJobsQuery,
    ),
    ("GET", "/jobs"): Operation(
        "list_jobs",
        "jobs",
        "List jobs",
        "Oldest or newest first, a page at a time.",
        {
            200: Answer("A page of jobs.", list[JobSummary], [_COMPLETED], ("Link", "ETag")),
            304: _NOT_MODIFIED,
        },
        (_malformed(f"limit must be a number from 1 to {MAX_PAGE}"), UNKNOWN_JOB_TYPE, CHANGED),
        query=parameters.JobListQuery,
        headers=parameters.ReadHeaders,
    ),
    ("GET", "/jobs/{job_id}"): Operation(
        "get_job",
        "jobs",
        "Read a job",
        "The whole story: its payload and result, and every attempt with its times, worker and "
        "error.",
        {200: Answer("The job.", JobDetail, _DETAIL, ("ETag",)), 304: _NOT_MODIFIED},
        (
            _malformed(f"wait must be a number of seconds from 0 to {MAX_WAIT_SECONDS}"),
            UNKNOWN_JOB,
            CHANGED,
        ),
        query=parameters.JobQuery,
        headers=parameters.ReadHeaders,
    ),
    ("POST", "/jobs/{job_id}/cancel"): Operation(
        "cancel_job",
        "jobs",
        "Call a job off",
        "A pending job ends at once, a running one at its next checkpoint: it may still be "
        "`processing` in the answer.",
        {200: Answer("The job, as it is now.", JobDetail, _CALLED_OFF)},
        (UNKNOWN_JOB, ALREADY_FINISHED, CHANGED),
        headers=parameters.CancelHeaders,
    ),
    ("POST", "/jobs/{job_id}/retry"): Operation(
        "retry_job",
        "jobs",
        "Run a job again",
        "Makes a new job of one that has ended, with the same payload; its `retry_of` names it.",
        {200: _DUPLICATE, 201: _MADE._replace(example=_CREATED)},
        (
            _malformed('send one Idempotency-Key, like "8e03978e-40d5-43dd-bc93-6894a57f9324"'),
            UNKNOWN_JOB,
            NOT_FINISHED,
            CHANGED,
            *_INTAKE,
        ),
        headers=parameters.RetryHeaders,
    ),
    ("GET", "/events"): Operation(
        "stream_events",
        "operations",
        "Watch what happens",
        "Every event as it happens, as server-sent events. The stream goes on until the client or "
        "the service ends it.",
        {
            200: Answer(
                "The stream.",
                str,
                _EVENT,
                media_type=EVENT_STREAM,
            )
        },
        (_malformed("job_id must be the id of a job"),),
        query=parameters.EventsQuery,
        headers=parameters.EventsHeaders,
    ),
    ("GET", "/queue"): Operation(
        "get_queue",
        "operations",
        "See what waits, and for what",
        "",
        {200: Answer("The queue at this moment.", QueueView, _QUEUE)},
    ),
    ("POST", "/queue/pause"): Operation(
        "pause_queue",
        "operations",
        "Start no more jobs",
        "None at all, or none of one type, until the same is resumed. What runs goes on, and jobs "
        "are accepted as ever.",
        {200: Answer("The queue at this moment.", QueueView, _QUEUE)},
        (_malformed("unknown query parameter 'typ'; known: type"), UNKNOWN_JOB_TYPE),
        query=parameters.QueueQuery,
    ),
    ("POST", "/queue/resume"): Operation(
        "resume_queue",
        "operations",
        "Start jobs again",
        "A pause of the queue and those of its types are independent of each other.",
        {200: Answer("The queue at this moment.", QueueView, _QUEUE)},
        (_malformed("unknown query parameter 'typ'; known: type"), UNKNOWN_JOB_TYPE),
        query=parameters.QueueQuery,
    ),
    ("GET", "/types"): Operation(
        "list_types",
        "operations",
        "See the job types",
        "How each is run, and how many of its jobs are in each state, as far as they are kept.",
        {200: Answer("All job types.", list[TypeView], [_TYPE])},
    ),
    ("GET", "/workers"): Operation(
        "list_workers",
        "operations",
        "See what each worker does",
        "",
        {200: Answer("All workers.", list[WorkerView], _WORKERS)},
    ),
    ("GET", "/schedules"): Operation(
        "list_schedules",
        "operations",
        "See what runs by itself, and when",
        "",
        {200: Answer("All schedules.", list[ScheduleView], _SCHEDULES)},
    ),
    ("GET", "/metrics"): Operation(
        "get_metrics",
        "operations",
        "Read the metrics",
        "Counters since the start, and gauges. `jobs_created` always equals the sum of "
        "`jobs_completed`, `jobs_failed`, `jobs_cancelled`, `jobs_abandoned`, `jobs_in_progress` "
        "and `jobs_pending`.",
        {200: Answer("The metrics at this moment.", MetricsSnapshot, _METRICS)},
    ),
    ("GET", "/health"): Operation(
        "check_health",
        "operations",
        "See whether the service lives",
        "Needs no token.",
        {200: Answer("It lives.", Health, Health())},
    ),
    ("GET", "/health/ready"): Operation(
        "check_readiness",
        "operations",
        "See whether the service takes jobs",
        "Needs no token.",
        {200: Answer("It takes jobs.", Health, Health())},
        (NOT_READY,),
    ),
    ("GET", "/openapi.json"): Operation(
        "get_openapi",
        "documentation",
        "Read this document",
        "OpenAPI 3.1, with the job types of this service.",
        {
            200: Answer("The document.", dict[str, Any], headers=("ETag",)),
            304: _NOT_MODIFIED,
        },
        (CHANGED,),
        headers=parameters.ReadHeaders,
    ),
    ("GET", "/docs"): Operation(
        "read_docs",
        "documentation",
        "Read this document as a page",
        "",
        {
            200: Answer("The page.", str, headers=("ETag",), media_type="text/html"),
            304: _NOT_MODIFIED,
        },
        (CHANGED,),
        headers=parameters.ReadHeaders,
    ),
    ("GET", "/"): Operation(
        "open_dashboard",
        "dashboard",
        "Look at the service",
        "A page that follows the service live. Needs no token, for it holds no data: it asks for a "
        "token itself.",
        {
            200: Answer("The page.", str, headers=("ETag",), media_type="text/html"),
            304: _NOT_MODIFIED,
        },
        (CHANGED,),
        headers=parameters.ReadHeaders,
    ),
    ("GET", "/dashboard/{name}"): Operation(
        "get_dashboard_file",
        "dashboard",
        "Read a file of the dashboard",
        "Its scripts, style and icon. Needs no token.",
        {
            200: Answer("The file.", str, headers=("ETag",), media_type="*/*"),
            304: _NOT_MODIFIED,
        },
        (NO_SUCH_FILE, CHANGED),
        headers=parameters.ReadHeaders,
    ),
}
