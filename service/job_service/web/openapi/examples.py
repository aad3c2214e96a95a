"""An example of each answer, as the documentation shows it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Raw, structs

from job_service.jobs.state.detail import AttemptDetail, JobDetail, JobSummary
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.job_log import AttemptLog, LogLine
from job_service.jobs.state.views import (
    Cancellations,
    MadeReady,
    NodeView,
    QueueView,
    Retries,
    ScheduleView,
    TypeQueue,
    TypeView,
    WorkerView,
)
from job_service.overview import Overview
from job_service.telemetry.events import JobStarted, LoopStalled
from job_service.telemetry.history import HistoryView
from job_service.telemetry.metrics import MetricsSnapshot
from job_service.telemetry.notices import Notice
from job_service.web.error_refusals import EXAMPLE_ID
from job_service.web.queue_routes import Backup
from job_service.web.submissions import BatchReceipt

_T0: Final = datetime(2026, 1, 31, 9, 30, 0, 125_000, UTC)
_T1: Final = _T0 + timedelta(seconds=0.75)

CREATED: Final = JobSummary(
    id=EXAMPLE_ID, type="echo", status="pending", created_at=_T0, max_retries=3
)
COMPLETED: Final = structs.replace(CREATED, status="completed", finished_at=_T1, attempt=1)
DUPLICATE: Final = structs.replace(CREATED, unique_key="a key", duplicate=True)
DETAIL: Final = JobDetail(
    **structs.asdict(COMPLETED),
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
            log=AttemptLog(
                first=(
                    LogLine(
                        timestamp=_T0 + timedelta(seconds=0.375),
                        level="info",
                        event="echoed",
                        fields=Raw(b'{"any":"field"}'),
                    ),
                )
            ),
        )
    ],
)
CANCELLED: Final = structs.replace(
    DETAIL, status="cancelled", attempt=0, payload=Raw(b"null"), result=None, attempts=[]
)
EDIT: Final[dict[str, Any]] = {"run_at": "2026-01-31T18:00:00Z", "priority": 2}
EDITED: Final = structs.replace(
    CANCELLED,
    status="pending",
    finished_at=None,
    run_at=datetime(2026, 1, 31, 18, 0, 0, 0, UTC),
    priority=2,
    waits_because="due in 30600 s",
    submitted_by="shop",
    edits=1,
    edited_at=_T1,
    edited_by="alice",
)
MADE_READY: Final = structs.replace(
    EDITED, run_at=_T1, priority=5, waits_because="waits for a free worker"
)
BATCH: Final = BatchReceipt(ids=[EXAMPLE_ID])
GROUP: Final = GroupView(
    id=EXAMPLE_ID,
    status="running",
    created_at=_T0,
    jobs=4,
    pending=2,
    processing=1,
    completed=1,
    failed=0,
    cancelled=0,
    progress=0.25,
)
CANCELLATIONS: Final = Cancellations(cancelled=4, interrupted=1)
ALL_READY: Final = MadeReady(made_ready=4)
RETRIES: Final = Retries(retried=1_000, next=EXAMPLE_ID)
NODES: Final = [
    NodeView(
        node="7d0c6b0e-6f0b-4a57-9f61-5b1d3f0a2c11",
        host="shop-1",
        pid=4711,
        version="1.0.0",
        started_at=_T0,
        lease_seconds=13.2,
        job_types=["echo"],
        processing=1,
        waiting=0,
        is_asked=True,
    )
]
WORKERS: Final = [
    WorkerView(
        worker_id="worker-1",
        state="busy",
        since=_T0,
        job_id=EXAMPLE_ID,
        job_type="echo",
        attempt=1,
    ),
    WorkerView(worker_id="worker-2", state="idle", since=_T1),
]
_NIGHTS: Final = [datetime(2026, 2, day, 2, tzinfo=UTC) for day in range(1, 6)]
SCHEDULES: Final = [
    ScheduleView(
        schedule="nightly",
        type="nightly",
        cron="0 3 * * *",
        timezone="Europe/Berlin",
        next_run_at=_NIGHTS[0],
        next_ticks=_NIGHTS,
        skipped=0,
        paused=False,
    )
]
PAUSED_SCHEDULE: Final = structs.replace(
    SCHEDULES[0], paused=True, paused_since=_T0, paused_by="alice"
)
SCHEDULED: Final = structs.replace(CREATED, type="nightly", schedule="nightly", scheduled_for=_T0)
_NUMBERS: Final[dict[str, Any]] = {
    **dict.fromkeys(MetricsSnapshot.__struct_fields__, 0),
    "jobs_created": 10,
    "jobs_completed": 7,
    "jobs_in_progress": 1,
    "jobs_started": 8,
    "jobs_pending": 2,
    "workers_running": 10,
    "queue_capacity": 1000,
    "wait_seconds_total": 1.25,
    "run_seconds_total": 7.5,
    "uptime_seconds": 3600.5,
}
METRICS: Final = MetricsSnapshot(**_NUMBERS)
_STEPS: Final[dict[str, Any]] = {
    **{name: [0, 0] for name in HistoryView.__struct_fields__},
    "ended_at": _T1,
    "step_seconds": 60,
    "jobs_created": [3, 7],
    "jobs_started": [3, 5],
    "jobs_completed": [3, 4],
    "jobs_pending": [1, 2],
    "jobs_in_progress": [1, 1],
    "wait_seconds_total": [0.25, 1.0],
}
NOTICES: Final = [
    Notice(
        first_at=_T0,
        times=2,
        event=LoopStalled(
            timestamp=_T1,
            stalled_seconds=0.75,
            where="shop/reports.py:12 in render",
            over=True,
            job_id=EXAMPLE_ID,
            job_type="report",
            worker_id="worker-1",
        ),
    )
]
HISTORY: Final = HistoryView(**_STEPS)
QUEUE: Final = QueueView(
    paused=False,
    paused_types=["report"],
    capacity=1000,
    pending=5,
    ready=3,
    later=1,
    blocked=1,
    unfit=0,
    processing=10,
    oldest_ready_seconds=0.75,
    store="sqlite:/srv/jobs.db",
    finished=12_345,
    types=[
        TypeQueue(
            type="echo",
            pending=5,
            ready=3,
            processing=10,
            oldest_ready_seconds=0.75,
            seconds_to_empty=1.5,
        )
    ],
)
BACKUP: Final = Backup(path="/backup/jobs.db", bytes=41_943_040)
TYPES: Final = [
    TypeView(
        type="echo",
        runs_in="loop",
        max_retries=3,
        concurrency=2,
        rate_starts=100,
        rate_seconds=60.0,
        per_key=True,
        paused=False,
        pending=5,
        processing=2,
        completed=100,
        failed=1,
        cancelled=0,
        abandoned=0,
    )
]
OVERVIEW: Final = Overview(
    METRICS,
    QUEUE,
    TYPES,
    WORKERS,
    {
        "pending": 5,
        "processing": 10,
        "completed": 12_340,
        "failed": 3,
        "cancelled": 2,
        "abandoned": 0,
    },
)
EVENT: Final = JobStarted(
    timestamp=_T0,
    job_id=EXAMPLE_ID,
    job_type="echo",
    worker_id="worker-1",
    attempt=1,
    wait_seconds=0.25,
)
