"""The client that awaits, on Trio and on asyncio."""

from job_service.client.awaiting.bulk import BulkMethods
from job_service.client.awaiting.following import StreamMethods
from job_service.client.awaiting.groups import GroupMethods
from job_service.client.awaiting.jobs import JobMethods
from job_service.client.awaiting.schedules import ScheduleMethods
from job_service.client.awaiting.service import ServiceMethods


class AsyncJobClient(
    JobMethods, BulkMethods, GroupMethods, ScheduleMethods, ServiceMethods, StreamMethods
):
    """What JobClient does, for programs on Trio or asyncio: its methods are async.

    All parameters, results and errors are those of JobClient. Tasks of one event loop may share a
    client. Use it in an `async with` block, or close it with `aclose`. A submission that is
    cancelled may have arrived: to repeat it safely, give it an `idempotency_key`.
    """
