"""Waits for a job or a group at a terminal, and shows how far it is meanwhile."""

import sys
import time
from typing import Final

from job_service.client import JobClient
from job_service.jobs.state.detail import JobDetail
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.model import TERMINAL
from job_service.telemetry.console import duration
from job_service.terminal.status_line import bar, status_line

_LOOK_SECONDS: Final = 0.25


def wait_for(client: JobClient, job_id: str) -> JobDetail:
    """All of the job when it has ended. A line on stderr says how far it is, on a terminal."""
    if not sys.stderr.isatty():
        return client.wait(job_id)
    began = time.monotonic()
    with status_line() as draw:
        while (job := client.wait(job_id, _LOOK_SECONDS)).status not in TERMINAL:
            draw(_progress_of(job, time.monotonic() - began))
    return job


def wait_for_group(client: JobClient, group_id: str) -> GroupView:
    """The group when it has ended. A line on stderr says how far it is, on a terminal."""
    if not sys.stderr.isatty():
        return client.wait_for_group(group_id)
    with status_line() as draw:
        while (group := client.wait_for_group(group_id, _LOOK_SECONDS)).status == "running":
            draw(f"{bar(group.progress)} {counts_of(group)}")
    return group


def counts_of(group: GroupView) -> str:
    """Such as `3 pending, 2 processing, 5 completed`."""
    names = ("pending", "processing", "completed", "failed", "cancelled")
    return ", ".join(f"{count} {name}" for name in names if (count := getattr(group, name)))


def _progress_of(job: JobDetail, seconds: float) -> str:
    """Such as `import [#####.....] 50% 12.3s page 3`."""
    progress = job.progress
    said = (progress.note if progress else None) or job.waits_because or job.status
    done = bar(progress.done / progress.total) if progress and progress.total else ""
    return " ".join(part for part in (job.type, done, duration(seconds), said) if part)
