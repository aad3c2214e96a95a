"""What may be asked for with a submission, besides its type and payload."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypedDict, TypeVar, get_args

import msgspec
from msgspec import UNSET, Meta

from job_service.errors import InvalidOption
from job_service.jobs.queueing.words import check_name, check_unicode
from job_service.jobs.registration.limit_key import MAX_LIMIT_KEY_CHARS
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS, MAX_RETRIES_LIMIT
from job_service.jobs.state.model import DEFAULT_PRIORITY, FIRST_PRIORITY, LAST_PRIORITY, Draft

MAX_UNIQUE_KEY_CHARS: Final = 255
MAX_PREDECESSORS: Final = 1_000
MAX_TAGS: Final = 10
MAX_TAG_CHARS: Final = 64

# JSON writes a whole number also as 3.0; Python does not take that for an int.
Number = TypeVar("Number", int, float)


def limits(must_be: str, *, description: str, **bounds: Any) -> Meta:
    """What a value may be: for checks, for errors, which say `must_be`, and for documentation."""
    return Meta(description=description, extra={"must_be": must_be}, **bounds)


def must_be(annotation: Any) -> str:
    """What `limits` says of a value that is annotated with them, as an error tells it."""
    for part in (annotation, *get_args(annotation)):
        for note in getattr(part, "__metadata__", ()):
            if isinstance(note, Meta) and note.extra:
                return str(note.extra["must_be"])
    raise TypeError(f"{annotation} has no limits")


MaxRetries = Annotated[
    Number,
    limits(
        f"a whole number between 0 and {MAX_RETRIES_LIMIT}",
        description="How often it is tried again after a failure, instead of what its type says.",
        ge=0,
        le=MAX_RETRIES_LIMIT,
    ),
]
Priority = Annotated[
    Number,
    limits(
        f"a whole number between {FIRST_PRIORITY} and {LAST_PRIORITY}",
        description=(
            f"From {FIRST_PRIORITY}, which goes first, to {LAST_PRIORITY}; "
            f"{DEFAULT_PRIORITY} if nothing is said."
        ),
        ge=FIRST_PRIORITY,
        le=LAST_PRIORITY,
    ),
]
DelaySeconds = Annotated[
    float,
    limits(
        f"a number of seconds between 0 and {LONGEST_WAIT_SECONDS}",
        description="Seconds from when it is accepted until it may start.",
        ge=0,
        le=LONGEST_WAIT_SECONDS,
    ),
]
DebounceSeconds = Annotated[
    float,
    limits(
        f"a number of seconds above 0, up to {LONGEST_WAIT_SECONDS}",
        description=(
            "Seconds until it may start, counted anew from each submission with its `unique_key`, "
            "of which the last payload counts. Not together with `delay_seconds` or `run_at`."
        ),
        gt=0,
        le=LONGEST_WAIT_SECONDS,
    ),
]
RunAt = Annotated[
    datetime,
    limits(
        "a date and time with an offset, such as Z",
        description="When it may start, in the next 10 years; not together with `delay_seconds`.",
        tz=True,
    ),
]
UniqueKey = Annotated[
    str,
    limits(
        f"a text of 1 to {MAX_UNIQUE_KEY_CHARS} characters",
        description="While a job of this type with this key has not ended, no other is made.",
        min_length=1,
        max_length=MAX_UNIQUE_KEY_CHARS,
    ),
]
After = Annotated[
    Sequence[str],
    limits(
        f"a list of at most {MAX_PREDECESSORS} ids of jobs",
        description=(
            "Ids of jobs that must complete before it starts. If one of them ends otherwise, it "
            "fails."
        ),
        max_length=MAX_PREDECESSORS,
    ),
]

Tags = Annotated[
    Sequence[Annotated[str, Meta(min_length=1, max_length=MAX_TAG_CHARS)]],
    limits(
        f"a list of at most {MAX_TAGS} texts of 1 to {MAX_TAG_CHARS} characters",
        description="Words by which the job can be found.",
        max_length=MAX_TAGS,
    ),
]


LimitKey = Annotated[
    str,
    limits(
        f"a text of 1 to {MAX_LIMIT_KEY_CHARS} characters",
        description="For which key the limits of its type hold.",
        min_length=1,
        max_length=MAX_LIMIT_KEY_CHARS,
    ),
]


class JobOptions(TypedDict, total=False):
    """Each option may be left out, or be None, which is the same; its annotation says the rest."""

    max_retries: MaxRetries[int] | None
    priority: Priority[int] | None
    delay_seconds: DelaySeconds | None
    run_at: RunAt | None
    unique_key: UniqueKey | None
    debounce_seconds: DebounceSeconds | None
    after: After | None
    tags: Tags | None


OPTIONS: Final[dict[str, Any]] = dict(JobOptions.__annotations__)


class _DraftOptions(msgspec.Struct, gc=False):
    """The options as a draft has them, with those of its type for what was left out."""

    max_retries: MaxRetries[int]
    priority: Priority[int]
    delay_seconds: DelaySeconds | None
    run_at: RunAt | None
    unique_key: UniqueKey | None
    debounce_seconds: DebounceSeconds | None
    after: After
    tags: Tags
    limit_key: LimitKey | None


def check_options(options: JobOptions, now: datetime) -> None:
    """Raise InvalidOption if one of them is not what its annotation says, or two contradict."""
    for name, value in options.items():
        if name not in OPTIONS:
            raise InvalidOption(f"there is no option {name}")
        _check(name, value, OPTIONS[name])
    if options.get("debounce_seconds") is not None:
        _check_debouncing(
            options.get("unique_key"), options.get("delay_seconds"), options.get("run_at")
        )
    _check_beyond_types(
        options.get("delay_seconds"),
        options.get("run_at"),
        options.get("unique_key"),
        options.get("after") or (),
        options.get("tags") or (),
        now,
    )


def check_edit(
    run_at: datetime | None, priority: int | None, payload: object, now: datetime
) -> None:
    """Raise InvalidOption if nothing is to be changed of a job, or it can't be changed so."""
    if run_at is None and priority is None and payload is UNSET:
        raise InvalidOption("nothing is to be changed: give run_at, priority or payload")
    check_options(JobOptions(run_at=run_at, priority=priority), now)


def check_delay(seconds: float) -> None:
    """Raise InvalidOption if no job can be delayed for so long."""
    _check("delay_seconds", seconds, DelaySeconds)


def check_draft(draft: Draft, now: datetime) -> None:
    """Raise InvalidOption if a part of the draft can't be kept, or two options contradict."""
    # All in one call, because each on its own takes msgspec ten times as long.
    try:
        msgspec.convert(draft, _DraftOptions, from_attributes=True)
    except msgspec.ValidationError:
        for name, annotation in _DraftOptions.__annotations__.items():
            _check(name, getattr(draft, name), annotation)
        raise
    if draft.limit_key is not None:
        check_unicode("limit_key", draft.limit_key)
    check_name("type", draft.type)
    for name in ("by", "retry_of", "schedule"):
        if (said := getattr(draft, name)) is not None:
            check_name(name, said)
    if not _is_utf8(draft.payload):
        raise InvalidOption("payload must be JSON text, as bytes in UTF-8")
    if draft.debounce_seconds is not None:
        _check_debouncing(draft.unique_key, draft.delay_seconds, draft.run_at)
    _check_beyond_types(
        draft.delay_seconds, draft.run_at, draft.unique_key, draft.after, draft.tags, now
    )


def _check(name: str, value: object, annotation: Any) -> None:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        raise InvalidOption(f"{name} must be {must_be(annotation)}") from error


def _check_debouncing(
    unique_key: str | None, delay_seconds: float | None, run_at: datetime | None
) -> None:
    if unique_key is None:
        raise InvalidOption("debounce_seconds needs a unique_key")
    if delay_seconds is not None or run_at is not None:
        raise InvalidOption("debounce_seconds excludes delay_seconds and run_at")


def _check_beyond_types(
    delay_seconds: float | None,
    run_at: datetime | None,
    unique_key: str | None,
    after: Sequence[str],
    tags: Sequence[str],
    now: datetime,
) -> None:
    if unique_key is not None:
        check_unicode("unique_key", unique_key)
    for job_id in after:
        check_unicode("after", job_id)
    for tag in tags:
        check_unicode("tags", tag)
    if run_at is None:
        return
    if delay_seconds is not None:
        raise InvalidOption("delay_seconds and run_at exclude each other")
    if (run_at - now).total_seconds() > LONGEST_WAIT_SECONDS:
        raise InvalidOption("run_at must be within the next 10 years")


def _is_utf8(text: object) -> bool:
    try:
        return isinstance(text, bytes) and bool(text.decode())
    except UnicodeDecodeError:
        return False
