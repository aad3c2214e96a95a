"""Reads what a client submits: one job as JSON, or many, a line each or as an array."""

import re
from collections.abc import Iterable
from io import BytesIO
from time import perf_counter
from typing import Any, Final, NamedTuple, cast

import msgspec
import trio
from msgspec import UNSET, UnsetType

from job_service.errors import JobServiceError
from job_service.jobs.queueing.options import (
    OPTIONS,
    After,
    DebounceSeconds,
    DelaySeconds,
    JobOptions,
    MaxRetries,
    Priority,
    RunAt,
    Tags,
    UniqueKey,
)
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.state.model import Draft
from job_service.json_text.lone_surrogates import what_is_wrong
from job_service.json_text.nesting import MAX_DEPTH, is_too_deep
from job_service.web.asgi import IncomingRequest
from job_service.web.problems import Problem, malformed, problem_of
from job_service.web.refusals import (
    COMPRESSED,
    NOT_A_BATCH,
    NOT_A_GROUP,
    NOT_THE_MEDIA_TYPE,
    TOO_LARGE,
    Refusal,
)
from job_service.web.responses import JSON
from job_service.web.uploads import Uploads

NDJSON: Final = "application/x-ndjson"
MAX_JOB_BYTES = 1024 * 1024
MAX_BATCH_BYTES = 16 * 1024 * 1024
MAX_BATCH_JOBS = 10_000
MAX_BATCH_LINES = 100_000
CHECKED_AT_A_TIME = 4
TURN_SECONDS = 0.002

_NONE: Final = msgspec.Raw(b"null")
MAX_JOB_DEPTH: Final = MAX_DEPTH + 1  # of a job around its payload
_WHITESPACE = b" \t\r\n"  # of JSON
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')  # RFC 8941, section 3.3.3


class Submission(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /jobs`. Without a payload it is the default of the handler's parameter."""

    type: str
    payload: msgspec.Raw | UnsetType = UNSET
    max_retries: MaxRetries[int] | MaxRetries[float] | None = None
    priority: Priority[int] | Priority[float] | None = None
    delay_seconds: DelaySeconds | None = None
    run_at: RunAt | None = None
    unique_key: UniqueKey | None = None
    debounce_seconds: DebounceSeconds | None = None
    after: After | None = None
    tags: Tags | None = None

    def options(self) -> JobOptions:
        """The options that are set, as the queue takes them."""
        options = {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}
        for name in ("max_retries", "priority"):
            if name in options:
                options[name] = as_whole(options[name])
        return cast("JobOptions", options)


def as_whole(number: Any) -> Any:
    """The same as an int, if it is a whole number; JSON may write it as 3.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class GroupSubmission(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /groups`: each member is a submission, or many."""

    jobs: list[msgspec.Raw]
    on_complete: msgspec.Raw = _NONE
    on_failure: msgspec.Raw = _NONE


class GroupDrafts(NamedTuple):
    """The jobs of a group, and those that may follow on its end, all checked by the queue."""

    jobs: list[Draft]
    on_complete: Draft | None
    on_failure: Draft | None


class BatchReceipt(msgspec.Struct, omit_defaults=True):
    """The ids of the jobs of a batch, in the order of its lines.

    `duplicates` counts the lines that made no job, because the job of that id holds their unique
    key.
    """

    ids: list[str]
    duplicates: int = 0


_decode = msgspec.json.Decoder(Submission).decode
_decode_group = msgspec.json.Decoder(GroupSubmission).decode
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


async def read_submission(incoming: IncomingRequest, uploads: Uploads) -> Submission:
    """The job in the body of the request. Raises Problem."""
    require_content(incoming, NOT_THE_MEDIA_TYPE, JSON)
    return _parse(await uploads.read(incoming, MAX_JOB_BYTES))


class Batches:
    """Reads batches, only CHECKED_AT_A_TIME of them together, which bounds the memory."""

    def __init__(self, queue: JobQueue, uploads: Uploads) -> None:
        self._queue = queue
        self._uploads = uploads
        self._places = trio.CapacityLimiter(CHECKED_AT_A_TIME)

    async def read(self, incoming: IncomingRequest) -> list[Draft]:
        """The jobs in the body of the request, all checked by the queue.

        Raises Problem, which names the first bad one. A large batch does not hold up other tasks:
        they run every few milliseconds. An array is taken apart in one go, so it may be no longer
        than one job.
        """
        if require_content(incoming, NOT_A_BATCH, NDJSON, JSON) == NDJSON:
            async with self._uploads.hold(incoming, MAX_BATCH_BYTES) as body, self._places:
                return await self._check("line", _lines(body))
        async with self._uploads.hold(incoming, MAX_JOB_BYTES) as body, self._places:
            return await self._check("job", _members(body))

    async def read_group(self, incoming: IncomingRequest) -> GroupDrafts:
        """The group in the body of the request; else as `read` of an array."""
        require_content(incoming, NOT_A_GROUP, JSON)
        async with self._uploads.hold(incoming, MAX_JOB_BYTES) as body, self._places:
            group = _parse_group(body)
            return GroupDrafts(
                await self._check("job", map(bytes, group.jobs)),
                self._check_callback("on_complete", group.on_complete),
                self._check_callback("on_failure", group.on_failure),
            )

    def _check_callback(self, what: str, text: msgspec.Raw) -> Draft | None:
        return None if text == _NONE else _check_one(self._queue, what, bytes(text))

    async def _check(self, what: str, texts: Iterable[bytes]) -> list[Draft]:
        drafts: list[Draft] = []
        turn_ends = perf_counter() + TURN_SECONDS
        for number, text in enumerate(texts, 1):
            if len(text) > MAX_JOB_BYTES:
                raise _too_large(f"{what} {number}: a job may have {MAX_JOB_BYTES} bytes at most")
            if text.strip(_WHITESPACE):
                if len(drafts) == MAX_BATCH_JOBS:
                    raise _too_large(f"a batch may have {MAX_BATCH_JOBS} jobs at most")
                drafts.append(_check_one(self._queue, f"{what} {number}", text))
            if perf_counter() >= turn_ends:
                await trio.lowlevel.checkpoint()
                turn_ends = perf_counter() + TURN_SECONDS
        if not drafts:
            raise malformed("there is no job in it")
        return drafts


def read_idempotency_key(incoming: IncomingRequest) -> str | None:
    """The key of the request, if it has one, quoted or bare. Raises Problem.

    The queue checks its length and characters.
    """
    if b"idempotency-key" not in incoming.fields:
        return None
    values = incoming.headers.getlist("Idempotency-Key")
    key = values[0]
    if len(values) == 1 and not key.startswith('"'):
        return key
    quoted = _QUOTED.fullmatch(key)
    if len(values) > 1 or quoted is None:
        raise malformed('send one Idempotency-Key, like "8e03978e-40d5-43dd-bc93-6894a57f9324"')
    return re.sub(r"\\(.)", r"\1", quoted[1])


def _lines(body: bytes) -> Iterable[bytes]:
    if body.count(b"\n") > MAX_BATCH_LINES:
        raise _too_large(f"a batch may have {MAX_BATCH_LINES:,} lines at most, blank ones too")
    return BytesIO(body)


def _members(body: bytes) -> Iterable[bytes]:
    if is_too_deep(body, MAX_JOB_DEPTH + 1):
        raise malformed(f"not an array of jobs: a payload is nested more than {MAX_DEPTH} deep")
    try:
        return map(bytes, _split(body))
    except msgspec.DecodeError as error:
        raise malformed(f"not an array of jobs: {what_is_wrong(body, error)}") from error


def _parse_group(body: bytes) -> GroupSubmission:
    if is_too_deep(body, MAX_JOB_DEPTH + 2):
        raise malformed(f"not a group: a payload is nested more than {MAX_DEPTH} deep")
    try:
        return _decode_group(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"not a group: {what_is_wrong(body, error)}") from error


def require_content(incoming: IncomingRequest, refusal: Refusal, *wanted: str) -> str:
    """The media type of the body, one of those that are wanted. Raises Problem, 415."""
    media_type = incoming.fields.get(b"content-type", b"").partition(b";")[0]
    found = media_type.strip().lower().decode("latin-1")
    if found not in wanted:
        raise Problem(refusal)
    if b"content-encoding" in incoming.fields:
        codings = ",".join(incoming.headers.getlist("Content-Encoding")).lower().split(",")
        if not {"", "identity"}.issuperset(map(str.strip, codings)):
            raise Problem(COMPRESSED)
    return found


def _parse(text: bytes) -> Submission:
    if is_too_deep(text, MAX_JOB_DEPTH):
        raise malformed(f"not a job: its payload is nested more than {MAX_DEPTH} deep")
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"not a job: {what_is_wrong(text, error)}") from error


def _check_one(queue: JobQueue, which: str, text: bytes) -> Draft:
    try:
        submission = _parse(text)
        return queue.check(submission.type, submission.payload, **submission.options())
    except (Problem, JobServiceError) as error:
        problem = problem_of(error)
        raise Problem(problem.refusal, f"{which}: {problem.detail}") from error


def _too_large(detail: str) -> Problem:
    return Problem(TOO_LARGE, detail)
