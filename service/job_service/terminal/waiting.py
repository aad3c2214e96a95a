"""Waits for a job at a terminal, and shows its progress meanwhile."""

import shutil
import sys
import time
from typing import Final

import click

from job_service.client import JobClient
from job_service.jobs.state.detail import JobDetail
from job_service.jobs.state.model import TERMINAL
from job_service.telemetry.console import duration
from job_service.telemetry.text import one_line

_LOOK_SECONDS: Final = 0.25
_BAR_COLUMNS: Final = 30
_ERASE_LINE: Final = "\r\x1b[K"


def wait_for(client: JobClient, job_id: str) -> JobDetail:
    """All of the job when it has ended. A line on stderr says how far it is, on a terminal."""
    if not sys.stderr.isatty():
        return client.wait(job_id)
    began = time.monotonic()
    drawn = ""
    try:
        while (job := client.wait(job_id, _LOOK_SECONDS)).status not in TERMINAL:
            line = _progress_of(job, time.monotonic() - began)
            drawn = line[: shutil.get_terminal_size().columns - 1]
            click.echo(_ERASE_LINE + drawn, nl=False, err=True, color=True)
    finally:
        if drawn:
            click.echo(_ERASE_LINE, nl=False, err=True, color=True)
    return job


def _progress_of(job: JobDetail, seconds: float) -> str:
    """Such as `import [#####.....] 50% page 3 12.3s`."""
    progress = job.progress
    said = (progress.note if progress else None) or job.waits_because or job.status
    parts = [job.type, duration(seconds), said]
    if progress is not None and progress.total:
        fraction = min(max(progress.done / progress.total, 0.0), 1.0)
        bar = "#" * round(fraction * _BAR_COLUMNS)
        parts[1:1] = [f"[{bar:.<{_BAR_COLUMNS}}]", f"{fraction:.0%}"]
    return one_line(" ".join(parts))
