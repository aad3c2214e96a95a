"""What the pages say of parameters and answers is what the code has."""

import re

import msgspec

from job_service.client import Overview
from job_service.web.event_stream import EventsQuery
from job_service.web.job_actions import ManyJobsQuery
from job_service.web.job_routes import JobListQuery
from tests.docs.pages import DOCS, code_in


def line_of(page: str, beginning: str) -> str:
    """The line of a page that begins like this."""
    (line,) = re.findall(rf"^{re.escape(beginning)}.*", (DOCS / page).read_text(), re.MULTILINE)
    return str(line)


def test_the_parameters_that_may_be_given_twice_are_named() -> None:
    """All others are refused then, as the same line says."""
    queries = (EventsQuery, JobListQuery, ManyJobsQuery)
    several = {
        field.encode_name
        for query in queries
        for field in msgspec.structs.fields(query)
        if "list[" in str(field.type)
    }
    line = line_of("http-api.md", "- A query parameter that a call does not know")
    assert set(code_in(line.partition("unless")[2].partition(";")[0])) == several


def test_the_overview_of_a_client_is_described_with_all_it_has() -> None:
    """In the table of calls."""
    line = line_of("client.md", "| `overview()`")
    assert {"Overview", *Overview.__struct_fields__} <= set(code_in(line))
