"""The metrics: each is declared here, once, with its meaning, in the order of `GET /metrics`."""

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import fields


def _counter(meaning: str) -> Meta:
    """Of a number that only rises. `service_stopped` has its final value."""
    return Meta(description=meaning, extra={"kind": "counter"})


def _gauge(meaning: str) -> Meta:
    """Of a number that rises and falls."""
    return Meta(description=meaning, extra={"kind": "gauge"})


class LiveMetrics(Struct):
    """The metrics of one service as they are now."""

    jobs_created: Annotated[int, _counter("Jobs that were accepted.")] = 0
    jobs_completed: Annotated[int, _counter("Jobs that have completed.")] = 0
    jobs_failed: Annotated[int, _counter("Jobs that have failed for good.")] = 0
    jobs_retried: Annotated[int, _counter("Attempts that failed and are followed by another.")] = 0
    jobs_in_progress: Annotated[int, _gauge("Jobs that run now.")] = 0
    jobs_pending: Annotated[
        int, _gauge("Jobs that wait: for a worker, for their time or for other jobs.")
    ] = 0
    jobs_cancelled: Annotated[int, _counter("Jobs that were cancelled on request.")] = 0
    jobs_abandoned: Annotated[int, _counter("Jobs that the service left behind when it ended.")] = 0
    jobs_rejected: Annotated[
        int, _counter("Jobs that were turned away, because the queue was full or draining.")
    ] = 0
    workers_running: Annotated[int, _gauge("Workers that run now, busy or idle.")] = 0
    queue_capacity: Annotated[int, _gauge("Jobs that may wait; more are turned away.")] = 0
    wait_seconds_total: Annotated[
        float,
        _counter("Seconds that jobs were ready before an attempt began, over all attempts."),
    ] = 0.0
    run_seconds_total: Annotated[
        float, _counter("Seconds that attempts took, over all that have ended.")
    ] = 0.0
    loop_stalls: Annotated[
        int, _counter("Times that the event loop stood still for longer than the threshold.")
    ] = 0
    log_lines_dropped: Annotated[
        int, _counter("Log lines that were lost: their reader was too slow, or writing failed.")
    ] = 0
    uptime_seconds: Annotated[float, _gauge("Seconds since the service began.")] = 0.0
    connections_refused: Annotated[
        int, _counter("Connections that were turned away because too many were open.")
    ] = 0
    jobs_ready: Annotated[
        int, _gauge("Pending jobs that wait only for a worker, a limit of their type or a pause.")
    ] = 0
    jobs_snoozed: Annotated[
        int, _counter("Attempts that ended with a snooze and are followed by another.")
    ] = 0
    jobs_deduplicated: Annotated[
        int, _counter("Submissions that made no job, because another job held their unique key.")
    ] = 0
    queue_paused: Annotated[int, _gauge("1 while the whole queue is paused, else 0.")] = 0
    job_types_paused: Annotated[int, _gauge("Job types that are paused by themselves.")] = 0
    ticks_skipped: Annotated[int, _counter("Ticks of schedules that made no job.")] = 0
    jobs_bytes: Annotated[
        int, _gauge("Bytes of the payloads, results, errors and tracebacks of all jobs.")
    ] = 0
    threads_abandoned: Annotated[
        int, _gauge("Threads that still run after their attempt was interrupted.")
    ] = 0
    jobs_claimed: Annotated[int, _counter("Jobs that this process took from the store.")] = 0
    jobs_released: Annotated[
        int, _counter("Jobs that this process gave back to the store before they had ended.")
    ] = 0
    store_commits: Annotated[int, _counter("Commits of the store.")] = 0
    store_errors: Annotated[
        int, _counter("Times that the store could not be written to or read.")
    ] = 0
    store_seconds_total: Annotated[
        float, _counter("Seconds that commits took, over all that succeeded.")
    ] = 0.0
    jobs_started: Annotated[int, _counter("Attempts that have begun.")] = 0
    jobs_oldest_ready_seconds: Annotated[
        float, _gauge("Seconds that the oldest of the ready jobs has been ready; 0 if none is.")
    ] = 0.0


class MetricsSnapshot(LiveMetrics, frozen=True):  # type: ignore[misc]  # a struct may freeze another
    """The metrics at one moment, in the order of `GET /metrics`. They count from the start.

    `jobs_created` and `jobs_claimed` together always equal the sum of `jobs_completed`,
    `jobs_failed`, `jobs_cancelled`, `jobs_abandoned`, `jobs_released`, `jobs_in_progress` and
    `jobs_pending`.
    """


COUNTERS: Final = [
    field for field in fields(LiveMetrics) if field.type.__metadata__[0].extra["kind"] == "counter"
]
