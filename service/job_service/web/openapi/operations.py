"""All calls of the API, described: those of jobs, and below those of the service itself."""

from typing import Any, Final

from job_service.jobs.state.views import NodeView, QueueView, TypeView, WorkerView
from job_service.overview import Overview
from job_service.telemetry.history import HistoryView
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.telemetry.notices import Notice
from job_service.web.error_refusals import BACKUP_REFUSED, STORE_UNAVAILABLE, UNKNOWN_JOB_TYPE
from job_service.web.health import Health
from job_service.web.monitoring import Caller
from job_service.web.openapi import examples
from job_service.web.openapi.group_operations import GROUP_OPERATIONS
from job_service.web.openapi.job_operations import JOB_OPERATIONS
from job_service.web.openapi.operation import (
    HTML,
    Answer,
    Operation,
    Operations,
    fixed,
    malformed_as,
)
from job_service.web.openapi.schedule_operations import SCHEDULE_OPERATIONS
from job_service.web.queue_routes import Backup
from job_service.web.refusals import NO_SUCH_FILE, NOT_READY

EVENT_STREAM: Final = "text/event-stream"

TAGS: Final = {
    "jobs": "Submit work, follow it, cancel it, run it again.",
    "groups": "Submit many jobs that are one thing, and follow, cancel or repeat them as one.",
    "operations": "What those on call look at.",
    "documentation": "This API, described.",
    "dashboard": "The service, to look at in a browser.",
}

_QUEUE_NOW: Final = Answer("The queue at this moment.", QueueView, examples.QUEUE)
_PAUSES: Final = (
    malformed_as("unknown query parameter 'typ'; known: type"),
    UNKNOWN_JOB_TYPE,
    STORE_UNAVAILABLE,
)

OPERATIONS: Final[Operations] = {
    **JOB_OPERATIONS,
    **GROUP_OPERATIONS,
    ("GET", "/events"): Operation(
        "stream_events",
        "operations",
        "Watch what happens",
        "Every event as it happens, as server-sent events. The stream goes on until the client or "
        "the service ends it.",
        {200: Answer("The stream.", str, examples.EVENT, media_type=EVENT_STREAM)},
        (malformed_as("job_id must be the id of a job"),),
        headers=("Last-Event-ID",),
    ),
    ("GET", "/queue"): Operation(
        "get_queue",
        "operations",
        "See what waits, and for what",
        "",
        {200: _QUEUE_NOW},
        (STORE_UNAVAILABLE,),
    ),
    ("POST", "/queue/pause"): Operation(
        "pause_queue",
        "operations",
        "Start no more jobs",
        "None at all, or none of one type, until the same is resumed. Running jobs go on, and new "
        "ones are accepted.",
        {200: _QUEUE_NOW},
        _PAUSES,
    ),
    ("POST", "/queue/resume"): Operation(
        "resume_queue",
        "operations",
        "Start jobs again",
        "A pause of the queue and those of its types are independent of each other.",
        {200: _QUEUE_NOW},
        _PAUSES,
    ),
    ("POST", "/store/backup"): Operation(
        "back_up_store",
        "operations",
        "Copy all jobs to a file",
        "The copy is a store of its own, as of one moment. Jobs go on meanwhile. The answer comes "
        "when the file is safe on its disk.",
        {200: Answer("The file.", Backup, examples.BACKUP)},
        (
            malformed_as("to must be the absolute path of a new file"),
            BACKUP_REFUSED,
            STORE_UNAVAILABLE,
        ),
    ),
    ("GET", "/nodes"): Operation(
        "list_nodes",
        "operations",
        "See the processes that share the jobs",
        "Those whose lease is not over, if the jobs are in a database. Otherwise there are none.",
        {200: Answer("All processes.", list[NodeView], examples.NODES)},
        (STORE_UNAVAILABLE,),
    ),
    ("GET", "/types"): Operation(
        "list_types",
        "operations",
        "See the job types",
        "How each is run, and how many of its jobs are in each state. Jobs that have ended count "
        "for as long as the service keeps them.",
        {200: Answer("All job types.", list[TypeView], examples.TYPES)},
        (STORE_UNAVAILABLE,),
    ),
    ("GET", "/workers"): Operation(
        "list_workers",
        "operations",
        "See what each worker does",
        "",
        {200: Answer("All workers.", list[WorkerView], examples.WORKERS)},
    ),
    **SCHEDULE_OPERATIONS,
    ("GET", "/metrics"): Operation(
        "get_metrics",
        "operations",
        "Read the metrics",
        "Counters since the start, and gauges.",
        {200: Answer("The metrics at this moment.", MetricsSnapshot, examples.METRICS)},
    ),
    ("GET", "/overview"): Operation(
        "get_overview",
        "operations",
        "See metrics, queue, types and workers at one moment",
        "Their numbers agree, because nothing happens between them.",
        {200: Answer("All of this moment.", Overview, examples.OVERVIEW)},
        (STORE_UNAVAILABLE,),
    ),
    ("GET", "/history"): Operation(
        "get_history",
        "operations",
        "See how the metrics came to be what they are",
        "The last hour at most, in steps of a minute, or of as many seconds as `step` says.",
        {200: Answer("The steps, the oldest first.", HistoryView, examples.HISTORY)},
        (malformed_as("step must be a whole number of seconds from 1 to 3600"),),
    ),
    ("GET", "/whoami"): Operation(
        "get_caller",
        "operations",
        "See what your token may do",
        "Without tokens, everybody has the role `operate`.",
        {200: Answer("The token of this request.", Caller, Caller("submit", "shop"))},
    ),
    ("GET", "/notices"): Operation(
        "list_notices",
        "operations",
        "See what happened out of the ordinary",
        "The last such events, the newest first, however long ago they were. What comes again "
        "within a minute is one notice with a count.",
        {200: Answer("The notices.", list[Notice], examples.NOTICES)},
        (malformed_as("limit must be a whole number from 1 to 100"),),
    ),
    ("GET", "/health"): Operation(
        "check_health",
        "operations",
        "See whether the service is alive",
        "Needs no token.",
        {200: Answer("It is alive.", Health, Health())},
    ),
    ("GET", "/health/ready"): Operation(
        "check_readiness",
        "operations",
        "See whether the service takes jobs",
        "Needs no token.",
        {200: Answer("It takes jobs.", Health, Health())},
        (NOT_READY, STORE_UNAVAILABLE),
    ),
    ("GET", "/openapi.json"): fixed(
        "get_openapi",
        "documentation",
        "Read this document",
        "OpenAPI 3.1, with the job types of this service.",
        Answer("The document.", dict[str, Any]),
    ),
    ("GET", "/docs"): fixed(
        "read_docs",
        "documentation",
        "Read this document as a page",
        "If a token is needed and none is sent, it is a page that asks for one.",
        Answer("The page.", str, media_type=HTML),
    ),
    ("GET", "/"): fixed(
        "open_dashboard",
        "dashboard",
        "Look at the service",
        "A page that follows the service live. It needs no token, because it holds no data: the "
        "page asks for a token itself.",
        Answer("The page.", str, media_type=HTML),
    ),
    ("GET", "/dashboard/{name}"): fixed(
        "get_dashboard_file",
        "dashboard",
        "Read a file of the dashboard",
        "Its scripts, style and icon. Needs no token.",
        Answer("The file.", str, media_type="*/*"),
        NO_SUCH_FILE,
    ),
}
