"""The OpenAPI document of one app: the operations it has routes for, and its job types."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import groupby
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, structs
from quart import Quart
from quart_schema import Info, OpenAPIProvider, QuartSchema, Tag
from quart_schema.openapi import HttpSecurityScheme
from werkzeug.routing import Rule

from job_service.jobs.registration.registry import Registry
from job_service.telemetry.schemas import Schema
from job_service.tokens import ROLES
from job_service.web.dashboard.pages import FILES
from job_service.web.guards import DOCS, needs_token
from job_service.web.openapi import examples, headers
from job_service.web.openapi.components import REFERENCE, answer_schemas, refer_to
from job_service.web.openapi.job_types import describe_submissions
from job_service.web.openapi.operation import Answer, Operation
from job_service.web.openapi.operations import EVENT_STREAM, OPERATIONS, TAGS
from job_service.web.problems import PROBLEM_CONTENT_TYPE, phrase, problem_json
from job_service.web.queries import AnyQuery, Query, query_of
from job_service.web.refusals import (
    BUG,
    FOREIGN_HOST,
    FOREIGN_ORIGIN,
    MALFORMED,
    NO_HOST,
    NO_TOKEN,
    REPEATED_HEADER,
    UNKNOWN_PARAMETER,
    Refusal,
)
from job_service.web.responses import JSON
from job_service.web.roles import NEEDED, role_too_low
from job_service.web.submissions import MAX_BATCH_JOBS, NDJSON

Document = dict[str, Any]

_DESCRIPTION: Final = """\
Submit work over HTTP, and see at any moment what became of it.

Every answer is JSON, except pages and streams. Every error is a problem as in RFC 9457, \
`application/problem+json`: its `type` says which, its `detail` what is wrong. Timestamps are \
ISO 8601 in UTC, names of durations end in `_seconds`, and what does not apply is left out, never \
null. In a payload, a whole number is written without a fraction: `1`, not `1.0`. `HEAD` works \
wherever `GET` does."""

_IN_PATHS: Final[dict[str, Schema]] = {
    "job_id": {"type": "string", "format": "uuid"},
    "group_id": {"type": "string", "format": "uuid"},
    "schedule": {"type": "string", "minLength": 1},
    "name": {"type": "string", "enum": sorted(FILES)},
}


def build_document(
    app: Quart, registry: Registry, *, needs_token: bool, root_path: str = ""
) -> Document:
    """The document of the routes that `app`, found at `root_path`, has now, and only of those."""
    app.config.setdefault("QUART_SCHEMA_CONVERSION_PREFERENCE", "msgspec")
    app.config.setdefault("QUART_SCHEMA_CONVERT_CASING", False)
    # Without the app, because with it quart-schema would handle every answer.
    settings = QuartSchema(
        info=Info(
            title="Job service", version=version("trio-job-service"), description=_DESCRIPTION
        ),
        tags=[Tag(name, description) for name, description in TAGS.items()],
        security_schemes={"token": HttpSecurityScheme("bearer")} if needs_token else None,
        security=[{"token": []}] if needs_token else None,
    )
    document = _Provider(app, settings, registry, needs_token=needs_token).schema()
    return {**document, "servers": [{"url": root_path}]} if root_path else document


class _Provider(OpenAPIProvider):
    """quart-schema's way through an app's routes, with our own description of each."""

    def __init__(
        self, app: Quart, settings: QuartSchema, registry: Registry, *, needs_token: bool
    ) -> None:
        super().__init__(app, settings)
        self._needs_token = needs_token
        self._answers = answer_schemas()
        self._submissions, self._examples = describe_submissions(registry, self._answers)

    def schema(self) -> Document:
        """The whole document."""
        document = super().schema()
        document["components"]["schemas"] = {**self._answers, **self._submissions}
        document["components"]["headers"] = {
            name: header._asdict() for name, header in headers.OF_ANSWERS.items()
        }
        order = [path for _, path in OPERATIONS]
        document["paths"] = dict(sorted(document["paths"].items(), key=lambda x: order.index(x[0])))
        return document

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """The operations of one route."""
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        operations = {
            method.lower(): self._describe(operation, method, path, rule)
            for method in self.generate_methods(rule)
            if (operation := OPERATIONS.get((method, path)))
        }
        return ({path: operations} if operations else {}), {}

    def _describe(self, operation: Operation, method: str, path: str, rule: Rule) -> Schema:
        described: Schema = {
            "operationId": operation.id,
            "tags": [operation.tag],
            "summary": operation.summary,
            "parameters": list(self._parameters(operation, rule)),
            "responses": {},
        }
        if operation.description:
            described["description"] = operation.description
        if operation.body:
            described["requestBody"] = self._request_body(operation.body)
        for status, answer in operation.answers.items():
            described["responses"][str(status)] = self._answer(answer)
        refusals = [*operation.refusals, NO_HOST, FOREIGN_HOST, BUG]
        if MALFORMED.kind not in {refusal.kind for refusal in refusals}:
            takes_any = self._query_of(rule) is AnyQuery
            refusals.append(REPEATED_HEADER if takes_any else UNKNOWN_PARAMETER)
        if method != "GET":
            refusals.append(FOREIGN_ORIGIN)
        refusals += self._describe_access(described, operation.id, path)
        for status, some in groupby(sorted(refusals, key=_status), key=_status):
            described["responses"][str(status)] = _problems(list(some))
        return described

    def _describe_access(self, described: Schema, call: str, path: str) -> list[Refusal]:
        """Say whether the call needs a token; gives the problems that it may have for that."""
        is_open, needed = not needs_token(path), NEEDED[call]
        if is_open and path != DOCS:
            described["security"] = []
        if not self._needs_token or (is_open and path != DOCS):
            return []
        if path == DOCS:
            described["security"] = [{}, {"token": []}]
        return [NO_TOKEN] if needed in (None, ROLES[0]) else [NO_TOKEN, role_too_low(needed)]

    def _parameters(self, operation: Operation, rule: Rule) -> Iterator[Schema]:
        for name in sorted(rule.arguments):
            yield {"name": name, "in": "path", "required": True, "schema": _IN_PATHS[name]}
        yield from _query_parameters(self._query_of(rule))
        for name in operation.headers:
            description, schema = headers.OF_REQUESTS[name]
            yield {"name": name, "in": "header", "description": description, "schema": schema}

    def _query_of(self, rule: Rule) -> type[Query]:
        return query_of(self._app.view_functions[rule.endpoint])

    def _request_body(self, kind: str) -> Schema:
        submission = refer_to("Submission")
        if kind == "edit":
            schema = refer_to("JobEdit")
            content: Schema = {JSON: {"schema": schema, "example": examples.EDIT}}
        elif kind == "job":
            content = {JSON: {"schema": submission, "examples": self._examples}}
        else:
            jobs = [example["value"] for example in self._examples.values()]
            # For lines, too, it is that of all together, as OpenAPI 3.2 has it.
            schema = {
                "type": "array",
                "items": submission,
                "minItems": 1,
                "maxItems": MAX_BATCH_JOBS,
            }
            lines = b"".join(msgspec.json.encode(job) + b"\n" for job in jobs).decode()
            content = {
                NDJSON: {"schema": schema, "example": lines},
                JSON: {"schema": schema, "example": jobs},
            }
            if kind == "group":
                content = {JSON: _group_media(schema, submission, jobs)}
        return {"required": True, "content": content}

    def _answer(self, answer: Answer) -> Schema:
        described: Schema = {"description": answer.description}
        if answer.headers:
            described["headers"] = _headers(answer.headers)
        if answer.body is not None:
            described["content"] = {answer.media_type: _media(answer)}
        if answer.makes_job:
            described["links"] = {
                name: {"operationId": name, "parameters": {"job_id": "$response.body#/id"}}
                for name in ("get_job", "edit_job", "run_job_now", "cancel_job", "retry_job")
            }
        return described


def _query_parameters(kind: type[Query]) -> Iterator[Schema]:
    for field in structs.fields(kind):
        schema = msgspec.json.schema(field.type)
        schema = schema.get("anyOf", [schema])[0]  # without null, which only stands for its absence
        if field.default not in (None, NODEFAULT):
            schema["default"] = field.default
        yield {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "description": schema.pop("description"),
            "schema": schema,
        }


def _group_media(jobs: Schema, job: Schema, examples: list[Any]) -> Schema:
    """The body of a group of such jobs, on whose end such a job may follow."""
    follower = {"anyOf": [job, {"type": "null"}]}  # null stands for its absence
    schema = {
        "type": "object",
        "properties": {"jobs": jobs, "on_complete": follower, "on_failure": follower},
        "required": ["jobs"],
        "additionalProperties": False,
    }
    return {"schema": schema, "example": {"jobs": examples}}


def _media(answer: Answer) -> Schema:
    if answer.media_type == EVENT_STREAM:
        data = msgspec.json.encode(answer.example).decode()
        return {
            "schema": refer_to("StreamedEvent"),
            "example": f"id: 1\nevent: {answer.example.event}\ndata: {data}\n\n",
        }
    kinds = answer.body if isinstance(answer.body, tuple) else (answer.body,)
    schemas, _ = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    media: Schema = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}}
    if answer.example is not None:
        media["example"] = msgspec.json.decode(msgspec.json.encode(answer.example))
    return media


def _problems(refusals: list[Refusal]) -> Schema:
    described: Schema = {
        "description": " ".join(refusal.when for refusal in refusals),
        "content": {
            PROBLEM_CONTENT_TYPE: {
                "schema": refer_to("ProblemDetails"),
                "examples": _examples_of(refusals),
            }
        },
    }
    if names := {name for refusal in refusals for name in refusal.headers}:
        described["headers"] = _headers(names)
    return described


def _examples_of(refusals: list[Refusal]) -> Schema:
    found: Schema = {}
    for refusal in refusals:
        name = refusal.kind or phrase(refusal.status).lower().replace(" ", "-")
        if name in found:
            name += f"-{len(found) + 1}"
        found[name] = {"value": _example(refusal)}
    return found


def _example(refusal: Refusal) -> Any:
    body = problem_json(refusal.status, refusal.detail, refusal.kind, refusal.job_status)
    return msgspec.json.decode(body)


def _status(refusal: Refusal) -> int:
    return int(refusal.status)


def _headers(names: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
