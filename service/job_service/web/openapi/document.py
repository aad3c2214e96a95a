"""The OpenAPI document of one app: the operations it has routes for, and its job types."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, structs
from quart import Quart
from quart_schema import Info, OpenAPIProvider, QuartSchema, Tag
from quart_schema.openapi import HttpSecurityScheme
from werkzeug.routing import Rule

from job_service.jobs.registration.registry import Registry
from job_service.telemetry.schemas import Schema
from job_service.web.dashboard.pages import FILES
from job_service.web.guards import DOCS, needs_token
from job_service.web.openapi import headers
from job_service.web.openapi.components import answer_schemas
from job_service.web.openapi.content import content_of_answer, content_of_request
from job_service.web.openapi.job_types import describe_submissions
from job_service.web.openapi.operation import Answer, Operation
from job_service.web.openapi.operations import OPERATIONS, TAGS
from job_service.web.openapi.problem_answers import problem_answers
from job_service.web.queries import AnyQuery, Query, query_of

Document = dict[str, Any]

_DESCRIPTION: Final = """\
Submit work over HTTP, and see at any moment what became of it.

Every answer is JSON, except pages and streams. Every error is a problem as in RFC 9457, \
`application/problem+json`: its `type` says which, its `detail` what is wrong. Timestamps are \
ISO 8601 in UTC, names of durations end in `_seconds`, and what does not apply is left out, never \
null. `HEAD` works wherever `GET` does."""

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
        }
        if operation.description:
            described["description"] = operation.description
        if operation.body:
            content = content_of_request(operation.body, self._examples)
            described["requestBody"] = {"required": True, "content": content}
        answers = {str(status): _answer(answer) for status, answer in operation.answers.items()}
        problems = problem_answers(
            operation,
            is_get=method == "GET",
            takes_any_query=self._query_of(rule) is AnyQuery,
            takes_token=self._needs_token and (path == DOCS or needs_token(path)),
        )
        described["responses"] = answers | problems
        if path == DOCS and self._needs_token:
            described["security"] = [{}, {"token": []}]
        elif path != DOCS and not needs_token(path):
            described["security"] = []
        return described

    def _parameters(self, operation: Operation, rule: Rule) -> Iterator[Schema]:
        for name in sorted(rule.arguments):
            yield {"name": name, "in": "path", "required": True, "schema": _IN_PATHS[name]}
        yield from _query_parameters(self._query_of(rule))
        for name in operation.headers:
            description, schema = headers.OF_REQUESTS[name]
            yield {"name": name, "in": "header", "description": description, "schema": schema}

    def _query_of(self, rule: Rule) -> type[Query]:
        return query_of(self._app.view_functions[rule.endpoint])


def _answer(answer: Answer) -> Schema:
    described: Schema = {"description": answer.description}
    if answer.headers:
        described["headers"] = headers.refer_to_headers(answer.headers)
    if answer.body is not None:
        described["content"] = content_of_answer(answer)
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
