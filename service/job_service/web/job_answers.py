"""What is answered of one job: its tag, and that it was made."""

from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import structs
from quart import Response

from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.web.responses import JSON, tag_of

_NOTHING: Final = msgspec.Raw(b"null")


def etag_of(job: JobDetail) -> str:
    """The tag of its version and, after a hyphen, of all that is told of it: see `tag_of`.

    Payload and result may be large, and need not be looked at: another payload counts among the
    `edits`, and the result comes together with the end.
    """
    told = structs.replace(job, payload=_NOTHING, result=None)
    return f"{job.version}-{tag_of(msgspec.json.encode(told))}"


def created(job: JobSummary) -> Response:
    """The answer to a submission, which has made this job, or found that it was made before."""
    response = Response(
        msgspec.json.encode(job),
        HTTPStatus.OK if job.duplicate else HTTPStatus.CREATED,
        headers={"Location": f"/jobs/{job.id}"},
        content_type=JSON,
    )
    return replayed(response) if job.replayed else response


def replayed(response: Response) -> Response:
    """The same answer, as one that was given before."""
    response.headers["Idempotent-Replayed"] = "true"
    return response
