"""A client of the service, for programs that call it over HTTP."""

from job_service.client.async_client import AsyncJobClient
from job_service.client.batches import Submission
from job_service.client.event_stream import StreamedEvent
from job_service.client.sync_client import JobClient

__all__ = ["AsyncJobClient", "JobClient", "StreamedEvent", "Submission"]
