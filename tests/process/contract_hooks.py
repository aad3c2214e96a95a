"""What schemathesis has to be told of our bodies; it loads this module by itself."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import schemathesis

LONGEST_WAIT = 60
VISIBLE = re.compile(r"[!-~]{1,255}")
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Write what JSON Schema can't tell: a payload's whole numbers, and moments soon to come."""
    for job in body if isinstance(body, list) else [body]:
        if isinstance(job, dict):
            if isinstance(job.get("run_at"), str):
                job["run_at"] = SOON
            if "payload" in job:
                job["payload"] = _with_whole_numbers(job["payload"])
    return body


@schemathesis.hook
def map_headers(context: schemathesis.HookContext, headers: Any) -> Any:
    """Use no idempotency key for two requests: that the second is refused is no fault."""
    key = headers.get("Idempotency-Key") if isinstance(headers, Mapping) else None
    if isinstance(key, str) and VISIBLE.fullmatch(key):
        headers["Idempotency-Key"] = str(uuid4())
    return headers


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: Any) -> Any:
    """Wait for less than the client's own patience, even for what starts in an hour."""
    if isinstance(query, dict) and isinstance(query.get("wait"), int | float):
        query["wait"] = (
            query["wait"] if query["wait"] > LONGEST_WAIT else query["wait"] / LONGEST_WAIT
        )
    return query


@schemathesis.serializer("application/x-ndjson")
def write_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """An array as lines, one for each of its items; all else as one line."""
    items = value if isinstance(value, list) else [value]
    return "".join(json.dumps(item) + "\n" for item in items).encode()


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _with_whole_numbers(item) for name, item in value.items()}
    return value
