"""The filters of jobs as arguments of calls: checked, and made into the value that stores take."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypedDict, get_args

import msgspec

from job_service.errors import InvalidOption
from job_service.jobs.queueing.constraints import constraint, must_be
from job_service.jobs.queueing.options import MAX_TAG_CHARS, MAX_UNIQUE_KEY_CHARS
from job_service.jobs.queueing.words import check_unicode
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import Status

MAX_PAGE: Final = 1_000
MAX_TYPES: Final = 100
MAX_ERROR_PART_CHARS: Final = 200

_ID_CHARS: Final = 36

StatusesSought = Annotated[
    Sequence[Status],
    constraint(
        f"one or more of {', '.join(get_args(Status))}",
        description="Only jobs that have one of these statuses now.",
    ),
]
TypesSought = Annotated[
    Sequence[str],
    constraint(
        f"one or more job types, {MAX_TYPES} at most",
        description="Only jobs of these types.",
        max_length=MAX_TYPES,
    ),
]
IdPartSought = Annotated[
    str,
    constraint(
        f"a part of an id, 1 to {_ID_CHARS} characters",
        description="Only jobs that have this anywhere in their id.",
        min_length=1,
        max_length=_ID_CHARS,
    ),
]
KeySought = Annotated[
    str,
    constraint(
        f"a text of 1 to {MAX_UNIQUE_KEY_CHARS} characters",
        description="Only jobs with this unique key, also those that have ended.",
        min_length=1,
        max_length=MAX_UNIQUE_KEY_CHARS,
    ),
]
TagSought = Annotated[
    str,
    constraint(
        f"a text of 1 to {MAX_TAG_CHARS} characters",
        description="Only jobs with this tag.",
        min_length=1,
        max_length=MAX_TAG_CHARS,
    ),
]
GroupSought = Annotated[
    str,
    constraint(
        "the id of a group",
        description="Only jobs of the group with this id.",
        pattern=r"^[0-9a-f-]{36}\Z",
    ),
]
_MOMENT: Final = "a date and time with an offset, such as 2026-12-24T18:00:00Z"
CreatedAfter = Annotated[
    datetime,
    constraint(_MOMENT, description="Only jobs that were created then or later.", tz=True),
]
CreatedBefore = Annotated[
    datetime, constraint(_MOMENT, description="Only jobs that were created earlier.", tz=True)
]
ErrorSought = Annotated[
    str,
    constraint(
        f"a text of 1 to {MAX_ERROR_PART_CHARS} characters",
        description="Only jobs that have this in the error of their last attempt, in any case.",
        min_length=1,
        max_length=MAX_ERROR_PART_CHARS,
    ),
]


class JobFilters(TypedDict, total=False):
    """What jobs are sought by. What is left out or None is not asked for.

    A job must be all of what is said, and one of several statuses or types. Times are those of the
    ids, to the millisecond. Case means nothing in `id_part` and, of ASCII letters, in `error`.
    """

    status: Status | StatusesSought | None
    job_type: str | TypesSought | None
    id_part: IdPartSought | None
    unique_key: KeySought | None
    tag: TagSought | None
    group: GroupSought | None
    created_after: CreatedAfter | None
    created_before: CreatedBefore | None
    error: ErrorSought | None


def job_filter(
    *,
    status: Status | Sequence[Status] | None = None,
    job_type: str | Sequence[str] | None = None,
    id_part: str | None = None,
    unique_key: str | None = None,
    tag: str | None = None,
    group: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    error: str | None = None,
) -> JobFilter:
    """The filter that these say. Raises InvalidOption if one is not what `JobFilters` says."""
    return JobFilter(
        statuses=_checked("status", _several(status), StatusesSought) or (),
        types=_checked("job_type", _several(job_type), TypesSought) or (),
        id_part=_checked("id_part", id_part, IdPartSought),
        unique_key=_checked("unique_key", unique_key, KeySought),
        tag=_checked("tag", tag, TagSought),
        group=_checked("group", group, GroupSought),
        created_after=_checked("created_after", created_after, CreatedAfter),
        created_before=_checked("created_before", created_before, CreatedBefore),
        error=_checked("error", error, ErrorSought),
    )


def check_page(after: Any, limit: Any) -> None:
    """Raise InvalidOption if no page can begin after this, or have this many jobs."""
    if not (after is None or (isinstance(after, str) and after.isascii() and "\0" not in after)):
        raise InvalidOption("after must be the id of a job")
    if not isinstance(limit, int):
        raise InvalidOption("limit must be a whole number")


def _several(value: Any) -> Any:
    """One text or several as a tuple, each once; anything else as it is."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return tuple(dict.fromkeys(value))
    return value


def _checked(name: str, value: Any, annotation: Any) -> Any:
    if value is None:
        return None
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        raise InvalidOption(f"{name} must be {must_be(annotation)}") from error
    for text in (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ():
        check_unicode(name, text)
    return value
