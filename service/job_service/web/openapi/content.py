"""The `content` of requests and answers: a schema and an example of each body."""

from typing import Any, Literal

import msgspec

from job_service.telemetry.schemas import Schema
from job_service.web.openapi.components import REFERENCE, refer_to
from job_service.web.openapi.examples import EDIT
from job_service.web.openapi.operation import Answer
from job_service.web.openapi.operations import EVENT_STREAM
from job_service.web.responses import JSON
from job_service.web.submissions import MAX_BATCH_JOBS, NDJSON


def content_of_request(
    kind: Literal["job", "batch", "group", "edit"], examples: dict[str, Any]
) -> Schema:
    """What a call takes; `examples` has a submission of each job type."""
    submission = refer_to("Submission")
    if kind == "edit":
        return {JSON: {"schema": refer_to("JobEdit"), "example": EDIT}}
    if kind == "job":
        return {JSON: {"schema": submission, "examples": examples}}
    jobs = [example["value"] for example in examples.values()]
    # For lines, too, it is that of all together, as OpenAPI 3.2 has it.
    schema = {"type": "array", "items": submission, "minItems": 1, "maxItems": MAX_BATCH_JOBS}
    if kind == "group":
        return {JSON: _group(schema, submission, jobs)}
    lines = b"".join(msgspec.json.encode(job) + b"\n" for job in jobs).decode()
    return {
        NDJSON: {"schema": schema, "example": lines},
        JSON: {"schema": schema, "example": jobs},
    }


def content_of_answer(answer: Answer) -> Schema:
    """What a call answers, which has a body."""
    return {
        answer.media_type: _streamed(answer)
        if answer.media_type == EVENT_STREAM
        else _media(answer)
    }


def _group(jobs: Schema, job: Schema, examples: list[Any]) -> Schema:
    """The body of a group of such jobs, on whose end such a job may follow."""
    follower = {"anyOf": [job, {"type": "null"}]}  # null stands for its absence
    schema = {
        "type": "object",
        "properties": {"jobs": jobs, "on_complete": follower, "on_failure": follower},
        "required": ["jobs"],
        "additionalProperties": False,
    }
    return {"schema": schema, "example": {"jobs": examples}}


def _streamed(answer: Answer) -> Schema:
    data = msgspec.json.encode(answer.example).decode()
    return {
        "schema": refer_to("StreamedEvent"),
        "example": f"id: 1\nevent: {answer.example.event}\ndata: {data}\n\n",
    }


def _media(answer: Answer) -> Schema:
    kinds = answer.body if isinstance(answer.body, tuple) else (answer.body,)
    schemas, _ = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    media: Schema = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}}
    if answer.example is not None:
        media["example"] = msgspec.json.decode(msgspec.json.encode(answer.example))
    return media
