"""Refuses queries that a call does not know: what is misspelt would else ask for something else."""

from typing import Final

import msgspec
from quart import Request

from job_service.web.openapi.operations import OPERATIONS, Operation
from job_service.web.problems import malformed

_OPEN_TO_ANY: Final = "open_dashboard"  # people paste links, and others add to these
_SHOWN_CHARS = 100


def _parameters(operation: Operation) -> dict[str, bool]:
    """The names of the query parameters that it takes, each with whether it may be repeated."""
    if operation.query is None:
        return {}
    _, named = msgspec.json.schema_components([operation.query])
    schemas = named[operation.query.__name__]["properties"]
    return {name: schema.get("type") == "array" for name, schema in schemas.items()}


_KNOWN: Final = {operation.id: _parameters(operation) for operation in OPERATIONS.values()}


def check_query(request: Request) -> None:
    """Raise Problem, 400, where a parameter is unknown to the call, or comes twice.

    The name of a route's function is the id of its operation.
    """
    if request.endpoint in (None, _OPEN_TO_ANY) or request.method == "OPTIONS":
        return
    known = _KNOWN[request.endpoint]
    for name, values in request.args.lists():
        shown = name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"
        if name not in known:
            rest = f"known: {', '.join(known)}" if known else "this call takes none"
            raise malformed(f"unknown query parameter {shown!r}; {rest}")
        if len(values) > 1 and not known[name]:
            raise malformed(f"query parameter {shown!r} is given more than once")
