"""The calls of schedules, described: see them, run, pause and resume them."""

from typing import Final

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.views import ScheduleView
from job_service.web.error_refusals import (
    DRAINING,
    KEY_REUSED,
    QUEUE_FULL,
    STORE_UNAVAILABLE,
    UNKNOWN_SCHEDULE,
)
from job_service.web.openapi import examples
from job_service.web.openapi.operation import Answer, Operation, Operations, malformed_as

_THE_SCHEDULE: Final = Answer("The schedule, as it is now.", ScheduleView, examples.PAUSED_SCHEDULE)

SCHEDULE_OPERATIONS: Final[Operations] = {
    ("GET", "/schedules"): Operation(
        "list_schedules",
        "operations",
        "See what runs by itself, and when",
        "Each with its next five ticks, and whether it is paused.",
        {200: Answer("All schedules.", list[ScheduleView], examples.SCHEDULES)},
    ),
    ("POST", "/schedules/{schedule}/run-now"): Operation(
        "run_schedule_now",
        "operations",
        "Run a schedule now",
        "Makes the job of a tick at this moment, also if the schedule is paused. The next tick "
        "stays when it is.",
        {
            201: Answer(
                "The job is accepted and waits for a worker.",
                JobSummary,
                examples.SCHEDULED,
                ("Location", "Idempotent-Replayed"),
                makes_job=True,
            )
        },
        (
            malformed_as('send one Idempotency-Key, like "8e03978e-40d5-43dd-bc93-6894a57f9324"'),
            *(UNKNOWN_SCHEDULE, KEY_REUSED, QUEUE_FULL, DRAINING, STORE_UNAVAILABLE),
        ),
        headers=("Idempotency-Key",),
    ),
    ("POST", "/schedules/{schedule}/pause"): Operation(
        "pause_schedule",
        "operations",
        "Pause a schedule",
        "Its ticks make no jobs until it is resumed, and none is made up for later.",
        {200: _THE_SCHEDULE},
        (UNKNOWN_SCHEDULE, STORE_UNAVAILABLE),
    ),
    ("POST", "/schedules/{schedule}/resume"): Operation(
        "resume_schedule",
        "operations",
        "Resume a schedule",
        "It makes jobs again, from its next tick on.",
        {200: _THE_SCHEDULE._replace(example=examples.SCHEDULES[0])},
        (UNKNOWN_SCHEDULE, STORE_UNAVAILABLE),
    ),
}
