"""What `GET /overview` answers, and the clients give: the numbers of a service at one moment."""

from collections.abc import Sequence

from msgspec import Struct

from job_service.jobs.state.views import QueueView, TypeView, WorkerView
from job_service.telemetry.metrics import MetricsSnapshot


class Overview(Struct, frozen=True):
    """The metrics, the queue, the job types and the workers at one moment.

    Their numbers agree. Only if the jobs are in a database that many processes share, the queue
    and the types are those of all processes, and the rest is of the one that answers.
    """

    metrics: MetricsSnapshot
    queue: QueueView
    types: Sequence[TypeView]
    workers: list[WorkerView]
