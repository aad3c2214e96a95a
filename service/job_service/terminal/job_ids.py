"""Finds the job that somebody means by a part of its id."""

import re
from typing import Final

from job_service.client import JobClient
from job_service.errors import InvalidOption, UnknownJob
from job_service.jobs.state.detail import JobSummary

_WHOLE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN: Final = 3


def whole_id(client: JobClient, part: str) -> str:
    """The id that has this part. A whole one is not looked up.

    Raises UnknownJob if no job has it, and InvalidOption if several have.
    """
    wanted = part.strip().lower()
    if _WHOLE.fullmatch(wanted):
        return wanted
    found = client.list(id_part=wanted, limit=_SHOWN + 1, newest_first=True)
    if not found:
        raise UnknownJob(f"no job has {part!r} in its id")
    if len(found) > 1:
        others = ", …" if len(found) > _SHOWN else ""
        shown = ", ".join(map(_shown, found[:_SHOWN]))
        raise InvalidOption(f"several jobs have {part!r} in their ids: {shown}{others}")
    return found[0].id


def _shown(job: JobSummary) -> str:
    return f"{job.id} ({job.type}, {job.status})"
