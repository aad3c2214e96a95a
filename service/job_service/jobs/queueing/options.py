"""What may be asked for with a submission, besides its type and payload."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypedDict, TypeVar

from msgspec import Meta

from job_service.jobs.queueing.constraints import constraint
from job_service.jobs.registration.limit_key import MAX_LIMIT_KEY_CHARS
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS, MAX_RETRIES_LIMIT
from job_service.jobs.state.model import DEFAULT_PRIORITY, FIRST_PRIORITY, LAST_PRIORITY

MAX_UNIQUE_KEY_CHARS: Final = 255
MAX_PREDECESSORS: Final = 1_000
MAX_TAGS: Final = 10
MAX_TAG_CHARS: Final = 64

# JSON writes a whole number also as 3.0; Python does not take that for an int.
Number = TypeVar("Number", int, float)


MaxRetries = Annotated[
    Number,
    constraint(
        f"a whole number between 0 and {MAX_RETRIES_LIMIT}",
        description="How often it is tried again after a failure, instead of what its type says.",
        ge=0,
        le=MAX_RETRIES_LIMIT,
    ),
]
Priority = Annotated[
    Number,
    constraint(
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
    constraint(
        f"a number of seconds between 0 and {LONGEST_WAIT_SECONDS}",
        description="Seconds from when it is accepted until it may start.",
        ge=0,
        le=LONGEST_WAIT_SECONDS,
    ),
]
DebounceSeconds = Annotated[
    float,
    constraint(
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
    constraint(
        "a date and time with an offset, such as Z",
        description="When it may start, in the next 10 years; not together with `delay_seconds`.",
        tz=True,
    ),
]
UniqueKey = Annotated[
    str,
    constraint(
        f"a text of 1 to {MAX_UNIQUE_KEY_CHARS} characters",
        description="While a job of this type with this key has not ended, no other is made.",
        min_length=1,
        max_length=MAX_UNIQUE_KEY_CHARS,
    ),
]
After = Annotated[
    Sequence[str],
    constraint(
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
    constraint(
        f"a list of at most {MAX_TAGS} texts of 1 to {MAX_TAG_CHARS} characters",
        description="Words by which the job can be found.",
        max_length=MAX_TAGS,
    ),
]
LimitKey = Annotated[
    str,
    constraint(
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
