"""Reads the body of an edit: what a client wants to change of a job that waits."""

from datetime import datetime
from typing import TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from job_service.jobs.queueing.options import Priority, RunAt
from job_service.json_text.lone_surrogates import what_is_wrong
from job_service.json_text.nesting import MAX_DEPTH, is_too_deep
from job_service.web.asgi import IncomingRequest
from job_service.web.problems import malformed
from job_service.web.refusals import NOT_AN_EDIT
from job_service.web.responses import JSON
from job_service.web.submissions import (
    MAX_JOB_BYTES,
    MAX_JOB_DEPTH,
    as_whole,
    require_content,
)
from job_service.web.uploads import Uploads


class JobEdit(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a job that waits. What is left out stays, and there must be something."""

    run_at: RunAt | UnsetType = UNSET
    priority: Priority[int] | Priority[float] | UnsetType = UNSET
    payload: msgspec.Raw | UnsetType = UNSET


class EditArguments(TypedDict):
    """The same as `JobQueue.edit` takes it."""

    run_at: datetime | None
    priority: int | None
    payload: msgspec.Raw | UnsetType


_decode = msgspec.json.Decoder(JobEdit).decode


async def read_edit(incoming: IncomingRequest, uploads: Uploads) -> EditArguments:
    """What is in the body of the request. Raises Problem."""
    require_content(incoming, NOT_AN_EDIT, JSON)
    text = await uploads.read(incoming, MAX_JOB_BYTES)
    if is_too_deep(text, MAX_JOB_DEPTH):
        raise malformed(f"not a change of a job: its payload is nested more than {MAX_DEPTH} deep")
    try:
        edit = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"not a change of a job: {what_is_wrong(text, error)}") from error
    return EditArguments(
        run_at=None if edit.run_at is UNSET else edit.run_at,
        priority=None if edit.priority is UNSET else as_whole(edit.priority),
        payload=edit.payload,
    )
