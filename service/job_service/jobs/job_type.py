"""A job type: one handler, with what its payload must look like and the terms it is run on."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from job_service.jobs.context import JobContext
from job_service.jobs.failure import describe
from job_service.jobs.retry import Retry
from job_service.nesting import MAX_DEPTH, is_too_deep

RunsIn = Literal["loop", "thread", "process"]


class InvalidPayload(Exception):
    """The payload is not what the job type's handler takes."""


@dataclass(frozen=True, slots=True)
class JobType:
    """One registered handler and the terms on which it is run.

    `timeout` bounds each attempt, in seconds; None lets it run for as long as it likes.
    `concurrency` is how many may be processed at a time; None sets no limit but the workers'.
    """

    name: str
    handler: Callable[..., Any]
    retry: Retry
    timeout: float | None
    concurrency: int | None
    runs_in: RunsIn
    payload_decoder: msgspec.json.Decoder[Any]
    payload_parameter: str | None
    context_parameter: str | None
    resource_parameters: tuple[str, ...]

    def check_payload(self, payload: bytes) -> None:
        """Raise InvalidPayload where `payload`, JSON text, is not what the handler takes."""
        if is_too_deep(payload):
            raise InvalidPayload(f"it is nested more than {MAX_DEPTH} deep")
        try:
            payload.decode()  # the decoder does not look into what its type does not name
            self.payload_decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidPayload(str(error)) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # from a payload type that checks itself
            raise InvalidPayload(describe(error)) from error

    def arguments(
        self, payload: bytes, make_context: Callable[[], JobContext], resources: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the handler is called with: a fresh payload, the context, and its resources."""
        arguments: dict[str, Any] = {}
        if self.payload_parameter is not None:
            arguments[self.payload_parameter] = self.payload_decoder.decode(payload)
        if self.context_parameter is not None:
            arguments[self.context_parameter] = make_context()
        if self.resource_parameters:
            arguments.update({name: resources[name] for name in self.resource_parameters})
        return arguments


def where_to_run(handler: Callable[..., Any], wanted: str | None) -> RunsIn:
    """Where `handler` runs: by its kind, or as `wanted`. Raises TypeError, or ValueError."""
    is_async = inspect.iscoroutinefunction(handler)
    match wanted:
        case None:
            return "loop" if is_async else "thread"
        case "loop" if is_async:
            return "loop"
        case "thread" | "process" if not is_async:
            return "thread" if wanted == "thread" else "process"
        case "loop" | "thread" | "process":
            kind, places = (
                ("an async def", "'loop'") if is_async else ("a def", "'thread' or 'process'")
            )
            raise TypeError(f"{handler.__qualname__} is {kind}: it runs in {places}")
        case _:
            raise ValueError(f"runs_in must be 'loop', 'thread' or 'process', not {wanted!r}")
