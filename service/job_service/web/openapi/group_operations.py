"""The calls of groups, described: submit, read, cancel, run again."""

from typing import Final

from job_service.jobs.state.group import GroupView
from job_service.jobs.state.views import Cancellations
from job_service.web.error_refusals import (
    BATCH_TOO_LARGE,
    DRAINING,
    GROUP_CONFLICT,
    INVALID_PAYLOAD,
    KEY_REUSED,
    QUEUE_FULL,
    STORE_UNAVAILABLE,
    UNKNOWN_GROUP,
    UNKNOWN_JOB_TYPE,
    UNKNOWN_PREDECESSOR,
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
    NOT_A_GROUP,
    SLOW_BODY,
    TOO_LARGE,
    TOO_MANY_UPLOADS,
)
from job_service.web.submissions import MAX_BATCH_JOBS, MAX_JOB_BYTES

_ADMISSION: Final = (KEY_REUSED, BATCH_TOO_LARGE, QUEUE_FULL, DRAINING, STORE_UNAVAILABLE)
_MADE: Final = Answer(
    "The group is accepted, with all of its jobs.",
    GroupView,
    examples.GROUP,
    ("Location", "Idempotent-Replayed"),
)

GROUP_OPERATIONS: Final[Operations] = {
    ("POST", "/groups"): Operation(
        "submit_group",
        "groups",
        "Submit many jobs as a group",
        f"Up to {MAX_BATCH_JOBS:,} jobs and {MAX_JOB_BYTES >> 20} MiB: all are accepted, or none. "
        "When the last of them has ended, `on_complete` is submitted if all have completed, and "
        "else `on_failure`, exactly once. No job may have a `unique_key`.",
        {201: _MADE},
        (
            malformed_as("job 3: not a job: Object missing required field `type`"),
            *(UNKNOWN_JOB_TYPE, INVALID_PAYLOAD, UNKNOWN_PREDECESSOR, SLOW_BODY, TOO_LARGE),
            *(TOO_MANY_UPLOADS, NOT_A_GROUP, COMPRESSED, UNKNOWN_GROUP, *_ADMISSION),
        ),
        headers=("Idempotency-Key",),
        body="group",
    ),
    ("GET", "/groups/{group_id}"): Operation(
        "get_group",
        "groups",
        "Read a group",
        "How far it has come. `GET /jobs?group=` lists its jobs.",
        {200: Answer("The group.", GroupView, examples.GROUP, ("ETag",)), 304: NOT_MODIFIED},
        (
            malformed_as(f"wait must be a number of seconds from 0 to {MAX_WAIT_SECONDS}"),
            *(UNKNOWN_GROUP, CHANGED, STORE_UNAVAILABLE),
        ),
        headers=CONDITIONAL,
    ),
    ("POST", "/groups/{group_id}/cancel"): Operation(
        "cancel_group",
        "groups",
        "Cancel a group",
        "All of its jobs that have not ended. It ends with the last of them, and its `on_failure` "
        "is submitted then.",
        {
            200: Answer(
                "All jobs that had not ended are cancelled, or being interrupted.",
                Cancellations,
                examples.CANCELLATIONS,
            )
        },
        (UNKNOWN_GROUP, GROUP_CONFLICT, STORE_UNAVAILABLE),
    ),
    ("POST", "/groups/{group_id}/retry"): Operation(
        "retry_group",
        "groups",
        "Run again what did not complete",
        "Makes a new group of such jobs, with the same `on_complete` and `on_failure`; its "
        "`retry_of` names the old one, which stays as it is.",
        {201: _MADE},
        (
            malformed_as('send one Idempotency-Key, like "8e03978e-40d5-43dd-bc93-6894a57f9324"'),
            *(UNKNOWN_GROUP, GROUP_CONFLICT, *_ADMISSION),
        ),
        headers=("Idempotency-Key",),
    ),
}
