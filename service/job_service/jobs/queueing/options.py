"""What may be asked for with a submission, besides its type and payload."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypedDict, TypeVar, get_args

import msgspec
from msgspec import Meta

from job_service.errors import InvalidOption
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS, MAX_RETRIES_LIMIT
from job_service.jobs.state.model import DEFAULT_PRIORITY, FIRST_PRIORITY, LAST_PRIORITY

MAX_UNIQUE_KEY_CHARS: Final = 255
MAX_PREDECESSORS: Final = 1_000

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


class JobOptions(TypedDict, total=False):
    """Each option may be left out, or be None, which is the same; its annotation says the rest."""

    max_retries: MaxRetries[int] | None
    priority: Priority[int] | None
    delay_seconds: DelaySeconds | None
    run_at: RunAt | None
    unique_key: UniqueKey | None
    after: After | None


OPTIONS: Final[dict[str, Any]] = dict(JobOptions.__annotations__)


def check_options(options: JobOptions, now: datetime) -> None:
    """Raise InvalidOption if one of them is not what its annotation says, or two contradict."""
    for name, value in options.items():
        if name not in OPTIONS:
            raise InvalidOption(f"there is no option {name}")
        try:
            msgspec.convert(value, OPTIONS[name])
        except msgspec.ValidationError as error:
            raise InvalidOption(f"{name} must be {must_be(OPTIONS[name])}") from error
    run_at = options.get("run_at")
    if run_at is None:
        return
    if options.get("delay_seconds") is not None:
        raise InvalidOption("delay_seconds and run_at exclude each other")
    if (run_at - now).total_seconds() > LONGEST_WAIT_SECONDS:
        raise InvalidOption("run_at must be within the next 10 years")
