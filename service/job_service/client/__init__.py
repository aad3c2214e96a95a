"""A client of the service, for programs that call it over HTTP."""

from job_service.client.answers import Notice
from job_service.client.async_client import AsyncJobClient
from job_service.client.encoding import Submission
from job_service.client.event_stream import StreamedEvent
from job_service.client.sync_client import JobClient
from job_service.overview import Overview
from job_service.telemetry.history import HistoryView

__all__ = [
    "AsyncJobClient",
    "HistoryView",
    "JobClient",
    "Notice",
    "Overview",
    "StreamedEvent",
    "Submission",
]
