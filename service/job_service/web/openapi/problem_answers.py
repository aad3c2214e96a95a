"""The problems that a call can be answered with: which they are, and how each is described."""

from itertools import groupby
from typing import Any

import msgspec

from job_service.access.tokens import ROLES
from job_service.telemetry.schemas import Schema
from job_service.web.openapi.components import refer_to
from job_service.web.openapi.headers import refer_to_headers
from job_service.web.openapi.operation import Operation
from job_service.web.problems import PROBLEM_CONTENT_TYPE, phrase, problem_json
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
from job_service.web.roles import NEEDED, role_too_low


def problem_answers(
    operation: Operation, *, is_get: bool, takes_any_query: bool, takes_token: bool
) -> dict[str, Schema]:
    """All problems of a call by their status: its own, and those that any such call may have."""
    refusals = [*operation.refusals, NO_HOST, FOREIGN_HOST, BUG]
    if MALFORMED.kind not in {refusal.kind for refusal in refusals}:
        refusals.append(REPEATED_HEADER if takes_any_query else UNKNOWN_PARAMETER)
    if not is_get:
        refusals.append(FOREIGN_ORIGIN)
    if takes_token:
        refusals += _refusals_of_tokens(operation.id)
    by_status = groupby(sorted(refusals, key=_status), key=_status)
    return {str(status): _described(list(some)) for status, some in by_status}


def _refusals_of_tokens(call: str) -> list[Refusal]:
    needed = NEEDED[call]
    return [NO_TOKEN] if needed in (None, ROLES[0]) else [NO_TOKEN, role_too_low(needed)]


def _described(refusals: list[Refusal]) -> Schema:
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
        described["headers"] = refer_to_headers(names)
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
