"""What schemathesis has to be told of our bodies; it loads this module by itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis

SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Write what JSON Schema can't tell: whole numbers as such, and only moments soon to come."""
    for job in body if isinstance(body, list) else [body]:
        if isinstance(job, dict) and isinstance(job.get("run_at"), str):
            job["run_at"] = SOON
    return _with_whole_numbers(body)


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
