"""The filters of a list, as the query of a request has them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from job_service.errors import InvalidOption
from job_service.jobs.queueing.filters import JobFilters

Query = dict[str, str | list[str]]

_PARAMETERS: Final = {"job_type": "type", "id_part": "id"}  # the others have the same names


def query_of(filters: JobFilters) -> Query:
    """The parameters that say the same. Raises InvalidOption if a moment has no zone."""
    return {
        _PARAMETERS.get(name, name): _text_of(name, value)
        for name, value in filters.items()
        if value is not None
    }


def with_type(job_type: str | None, filters: JobFilters) -> JobFilters:
    """The filters, and this type if one is given."""
    return filters if job_type is None else {**filters, "job_type": job_type}


def _text_of(name: str, value: object) -> str | list[str]:
    if isinstance(value, datetime):
        if value.tzinfo is None:  # by which zone the service goes, nobody knows
            raise InvalidOption(f"{name} must be a date and time with a zone")
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(each) for each in value]
    return str(value)
