"""The parameters that say which jobs are meant, for each call that is about some of them."""

from typing import Annotated, get_args

from job_service.jobs.queueing.constraints import constraint
from job_service.jobs.queueing.filters import (
    MAX_TYPES,
    CreatedAfter,
    CreatedBefore,
    ErrorSought,
    GroupSought,
    IdPartSought,
    JobFilters,
    KeySought,
    TagSought,
)
from job_service.jobs.state.model import Status
from job_service.web.queries import Query


class JobFilterQuery(Query, frozen=True):
    """Which jobs are meant. What is left out is not asked for."""

    status: (
        Annotated[
            list[Status],
            constraint(
                f"one of {', '.join(get_args(Status))}",
                description=(
                    "Only jobs that have this status now. Repeat it for several, or separate them "
                    "with commas."
                ),
            ),
        ]
        | None
    ) = None
    type: (
        Annotated[
            list[str],
            constraint(
                f"a job type, of which there may be {MAX_TYPES}",
                description=(
                    f"Only jobs of this type. Repeat it for several, {MAX_TYPES} at most."
                ),
                max_length=MAX_TYPES,
            ),
        ]
        | None
    ) = None
    id: IdPartSought | None = None
    unique_key: KeySought | None = None
    tag: TagSought | None = None
    group: GroupSought | None = None
    created_after: CreatedAfter | None = None
    created_before: CreatedBefore | None = None
    error: ErrorSought | None = None

    @property
    def filters(self) -> JobFilters:
        """The same for the queue."""
        return {
            "status": self.status,
            "job_type": self.type,
            "id_part": self.id,
            "unique_key": self.unique_key,
            "tag": self.tag,
            "group": self.group,
            "created_after": self.created_after,
            "created_before": self.created_before,
            "error": self.error,
        }
