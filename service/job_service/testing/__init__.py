"""Runs the handlers of a registry in tests, in virtual time: an hour takes milliseconds.

The names in `__all__` are public. So is the pytest plugin `job_service.testing.plugin`.
"""

from job_service.testing.assertions import assert_completed, assert_failed, waits
from job_service.testing.running import run, run_sync
from job_service.testing.ticks import next_ticks
from job_service.testing.virtual_service import VirtualService, virtual_service

__all__ = [
    "VirtualService",
    "assert_completed",
    "assert_failed",
    "next_ticks",
    "run",
    "run_sync",
    "virtual_service",
    "waits",
]
