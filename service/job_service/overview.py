"""What `GET /overview` answers, and the clients give: the numbers of a service at one moment."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from job_service.jobs.state.model import Status
from job_service.jobs.state.views import QueueView, TypeView, WorkerView
from job_service.telemetry.metrics import MetricsSnapshot


class Overview(Struct, frozen=True):
    """The metrics, the queue, the job types and the workers at one moment.

    `jobs` is how many jobs are kept by their status, those of types without a handler, too. All
    these numbers agree. Only if the jobs are in a database that many processes share, the queue,
    the types and the jobs are those of all processes, and the rest is of the one that answers.
    """

    metrics: MetricsSnapshot
    queue: QueueView
    types: Sequence[TypeView]
    workers: list[WorkerView]
    jobs: Mapping[Status, int]
