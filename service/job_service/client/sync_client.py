"""The client that blocks: for programs without an event loop, and for threads."""

from job_service.client.blocking.bulk import BulkMethods
from job_service.client.blocking.following import StreamMethods
from job_service.client.blocking.groups import GroupMethods
from job_service.client.blocking.jobs import JobMethods
from job_service.client.blocking.schedules import ScheduleMethods
from job_service.client.blocking.service import ServiceMethods


class JobClient(
    JobMethods, BulkMethods, GroupMethods, ScheduleMethods, ServiceMethods, StreamMethods
):
    """Submits jobs to a service over HTTP, and asks what became of them.

    `url` is such as http://127.0.0.1:8080, with or without a path, or unix: and the path of a
    socket. Left out, it is that of JOB_SERVICE_URL, or that of a service on this machine. `token`
    is a bearer token; left out, it is the first one of JOB_SERVICE_TOKEN, if that is set.
    `ssl_context` says whom to trust, if the service's certificate is not one that everybody knows.

    A call that is refused for now (429, 503) or gets no answer is repeated, as `Retry-After` says,
    for `patience_seconds`. No job is made twice by that, because each submission has an idempotency
    key. Give one of your own, and you may repeat a whole call, for a day. `timeout_seconds` bounds
    the wait for the whole of an answer.

    Threads may share a client. Close it when it is no longer needed, or use it in a `with` block.

    Raises SettingsError if `url` or `token` is none. Every call raises Unreachable, Unauthorized,
    StoreUnavailable or UnexpectedAnswer, besides what its own description says. Whatever is raised
    because patience is over is a TryAgainLater.
    """
