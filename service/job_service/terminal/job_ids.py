"""Finds the job that somebody means by a part of its id."""

import re
from collections.abc import Sequence
from typing import Final

import click

from job_service.client import JobClient
from job_service.errors import InvalidOption, UnknownJob
from job_service.jobs.state.detail import JobSummary

_WHOLE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN: Final = 3
_FURTHER_PAGES: Final = 10  # behind the job that was found; each is of thousands of jobs


def whole_id(client: JobClient, part: str) -> str:
    """The id that has this part. A whole one is not looked up.

    Raises UnknownJob if no job has it, and InvalidOption if several have. Behind the newest one the
    search goes on for a while only. If that is not to the end, a note on stderr says so.
    """
    wanted = part.strip().lower()
    if _WHOLE.fullmatch(wanted):
        return wanted
    found, end = _newest(client, wanted)
    if not found:
        raise UnknownJob(f"no job has {part!r} in its id")
    if len(found) > 1:
        others = ", …" if len(found) > _SHOWN else ""
        shown = ", ".join(map(_shown, found[:_SHOWN]))
        raise InvalidOption(f"several jobs have {part!r} in their ids: {shown}{others}")
    if end is not None:
        click.echo(f"jobs older than {end} may have {part!r} in their ids, too", err=True)
    return found[0].id


def _newest(client: JobClient, wanted: str) -> tuple[Sequence[JobSummary], str | None]:
    """The newest jobs with this in their ids, and how far they were sought; None if to the end."""
    found: list[JobSummary] = []
    after, further_pages = None, 0
    while True:
        page = client.page(
            id_part=wanted, after=after, limit=_SHOWN + 1 - len(found), newest_first=True
        )
        further_pages += bool(found)
        found += page.jobs
        after = page.next
        if after is None or len(found) > _SHOWN or further_pages == _FURTHER_PAGES:
            return found, after


def _shown(job: JobSummary) -> str:
    return f"{job.id} ({job.type}, {job.status})"
