"""A filter of jobs: those that a caller lists, counts or changes."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, get_args

import msgspec
from msgspec import structs

from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Job, Status

# Only the last attempt counts, and that of a job which runs or has completed has not failed.
_WITH_ERROR: Final[frozenset[Status]] = frozenset({"pending", "failed", "cancelled", "abandoned"})
_SEARCHED_CHARS: Final = 1_000  # of an error: few are longer, and only reasons that others give
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_OF_ID: Final = re.compile(r"[0-9a-f]{8}-")  # comes nowhere else in an id


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of which all is true that is said here; without a word, all jobs.

    A job has one of the `statuses` and is of one of the `types`. Its id has `id_part` in it, and
    the error of its last attempt has `error` in it, each whatever the case of its ASCII letters.
    It has this `unique_key`, now or before it ended, and this `tag` among its own. It is a job of
    this `group`. It was created at `created_after` or later, and before `created_before`, by its
    id, so to the millisecond.
    """

    statuses: tuple[Status, ...] = ()
    types: tuple[str, ...] = ()
    id_part: str | None = None
    unique_key: str | None = None
    tag: str | None = None
    group: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if self.id_part is not None:
            structs.force_setattr(self, "id_part", fold(self.id_part))
        if self.error is not None:
            structs.force_setattr(self, "error", fold(self.error))

    def matches(self, job: Job | JobSummary) -> bool:
        """Whether the job is meant."""
        span = self.span()
        return (
            (not self.statuses or job.status in self.statuses)
            and (not self.types or job.type in self.types)
            and (span.behind is None or job.id > span.behind)
            and (span.before is None or job.id < span.before)
            and self.is_rest_true_of(job)
        )

    def is_rest_true_of(self, job: Job | JobSummary) -> bool:
        """Whether the job is meant, if it has the right status, type and time."""
        return (
            (self.id_part is None or self.id_part in job.id)
            and (self.unique_key is None or job.unique_key == self.unique_key)
            and (self.tag is None or self.tag in job.tags)
            and (self.group is None or job.group == self.group)
            and (self.error is None or self.error in (folded_error(job) or ""))
        )

    @property
    def has_rest(self) -> bool:
        """Whether status, type and time do not say it all."""
        return not (
            self.id_part is None
            and self.unique_key is None
            and self.tag is None
            and self.group is None
            and self.error is None
        )

    @property
    def among(self) -> tuple[Status, ...]:
        """The statuses that such a job may have; none if it may have any."""
        if self.error is None:
            return self.statuses
        return tuple(
            status for status in self.statuses or get_args(Status) if status in _WITH_ERROR
        )

    @property
    def is_empty(self) -> bool:
        """Whether no job can be meant: one that runs or has completed has no error."""
        return self.error is not None and not self.among

    def span(self, after: str | None = None, *, newest_first: bool = False) -> "Span":
        """Between which ids such jobs are, and behind the one `after` in this order."""
        lowest = [_first_id_of(self.created_after)] if self.created_after is not None else []
        highest = [_first_id_of(self.created_before)] if self.created_before is not None else []
        if self.group is not None:  # whose id is older than those of its jobs
            lowest.append(self.group)
        if self.id_part is not None and _FIRST_OF_ID.match(part := self.id_part):
            lowest.append(part[:-1])
            highest.append(f"{part}~")
        if after is not None:
            (highest if newest_first else lowest).append(after)
        return Span(max(lowest, default=None), min(highest, default=None))


class Span(NamedTuple):
    """The ids between two texts, which need be none themselves; None is no bound."""

    behind: str | None
    before: str | None


class JobPage(NamedTuple):
    """Some jobs, and the id to go on after, or None if there are no more.

    There may be more jobs even if the page has fewer than were asked for, or none: it takes no more
    than a bounded number of looks to make one.
    """

    jobs: list[JobSummary]
    next: str | None


def page_of(found: list[JobSummary], limit: int, edge: str | None) -> JobPage:
    """The first `limit` of these jobs, which are one more if there are more.

    They were looked for up to the id `edge`, or up to the end if it is None.
    """
    if len(found) > limit:
        return JobPage(found[:limit], found[limit - 1].id)
    return JobPage(found, edge)


def folded_error(job: Job | JobSummary) -> str | None:
    """What a job's last error is searched by, and stores keep beside the job for that."""
    return None if job.error is None else fold(job.error[:_SEARCHED_CHARS])


def fold(text: str) -> str:
    """The text with small letters only, of those that ASCII has, and without NUL.

    PostgreSQL keeps no NUL, and to SQLite a text may end with it.
    """
    text = text.replace("\0", "\ufffd")
    return text.lower() if text.isascii() else text.encode(errors="replace").lower().decode()


def _first_id_of(moment: datetime) -> str:
    """What comes before each id of this millisecond, and behind all earlier ones (RFC 9562)."""
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    digits = f"{max(0, milliseconds):012x}"
    return f"{digits[:8]}-{digits[8:]}"
