"""Every call of the API that a client makes, each as a conversation."""

from job_service.client.calls.batches import BatchCalls
from job_service.client.calls.bulk import BulkCalls
from job_service.client.calls.groups import GroupCalls
from job_service.client.calls.jobs import JobCalls
from job_service.client.calls.schedules import ScheduleCalls
from job_service.client.calls.service import ServiceCalls


class Calls(JobCalls, BatchCalls, BulkCalls, GroupCalls, ScheduleCalls, ServiceCalls):
    """All calls of one client, on its terms."""
