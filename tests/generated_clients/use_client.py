"""What a program does with the Python client that was generated; test_python.py runs it."""

import sys
from datetime import UTC, datetime

from job_client import AuthenticatedClient
from job_client.api.jobs import cancel_job, get_job, list_jobs, submit_batch, submit_job
from job_client.api.operations import get_metrics, pause_queue, resume_queue
from job_client.models import (
    BatchReceipt,
    Circle,
    DrawSubmission,
    Greeting,
    GreetSubmission,
    JobDetail,
    JobDetailStatus,
    JobSummary,
    ListJobsOrder,
    Mail,
    MailSubmission,
    MetricsSnapshot,
    ProblemDetails,
    ProblemDetailsJobStatus,
    QueueView,
)


def use(client: AuthenticatedClient) -> None:
    """Call it as a program would."""
    # Submit, with options, and safely twice.
    submission = GreetSubmission(
        type_="greet", payload=Greeting(name="Ada"), priority=2, run_at=datetime.now(UTC)
    )
    submitted = submit_job.sync(client=client, body=submission, idempotency_key="python-1")
    assert isinstance(submitted, JobSummary)
    again = submit_job.sync(client=client, body=submission, idempotency_key="python-1")
    assert isinstance(again, JobSummary)
    assert (again.id, again.replayed) == (submitted.id, True)

    # Wait for its end.
    ended = get_job.sync(submitted.id, client=client, wait=30)
    assert isinstance(ended, JobDetail)
    assert ended.status is JobDetailStatus.COMPLETED
    assert ended.result == "Hello, Ada!"
    assert ended.attempts[0].outcome == "completed"
    assert isinstance(ended.finished_at, datetime)
    assert ended.priority == 2

    # What has ended can't be cancelled: a problem, which has a type, too.
    refused = cancel_job.sync(submitted.id, client=client)
    assert isinstance(refused, ProblemDetails)
    assert (refused.status, refused.type_) == (409, "/problems/already-finished")
    assert refused.job_status is ProblemDetailsJobStatus.COMPLETED

    # Submit and wait in one call, and many at once.
    circle = DrawSubmission(type_="draw", payload=Circle(kind="circle", radius=2))
    drawn = submit_job.sync(client=client, body=circle, wait=30)
    assert isinstance(drawn, JobDetail)
    assert drawn.result == "circle"
    mail = MailSubmission(type_="mail", payload=Mail(to="a@example.com"))
    accepted = submit_batch.sync(client=client, body=[submission, mail])
    assert isinstance(accepted, BatchReceipt)
    assert len(accepted.ids) == 2

    # Look around.
    listed = list_jobs.sync(client=client, type_=["greet"], order=ListJobsOrder.NEWEST, limit=1)
    assert isinstance(listed, list)
    assert [job.id for job in listed] == accepted.ids[:1]
    metrics = get_metrics.sync(client=client)
    assert isinstance(metrics, MetricsSnapshot)
    assert metrics.jobs_created >= 4

    # Pause and resume.
    paused = pause_queue.sync(client=client, type_="greet")
    assert isinstance(paused, QueueView)
    assert paused.paused_types == ["greet"]
    resumed = resume_queue.sync(client=client, type_="greet")
    assert isinstance(resumed, QueueView)
    assert resumed.paused_types == []


if __name__ == "__main__":
    with AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2]) as client:
        use(client)
