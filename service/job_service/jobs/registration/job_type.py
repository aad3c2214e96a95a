"""A job type: one handler, with what its payload must look like and the terms it is run on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import msgspec

from job_service.errors import InvalidPayload
from job_service.failures.report import describe
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.handler import kind_of, name_of, place_of, wraps_generator
from job_service.jobs.registration.retry import Retry
from job_service.nesting import TOO_DEEP, is_too_deep

RunsIn = Literal["loop", "thread", "process"]


@dataclass(frozen=True, slots=True)
class JobType:
    """One registered handler and the terms on which it is run.

    `timeout` bounds each attempt, in seconds; None lets it run for as long as it likes.
    `concurrency` is how many may be processed at a time; None sets no limit but the workers'.
    `absent_payload` is the JSON text that takes the place of a payload which is left out.
    """

    name: str
    handler: Callable[..., Any]
    retry: Retry
    timeout: float | None
    concurrency: int | None
    runs_in: RunsIn
    payload_decoder: msgspec.json.Decoder[Any]
    payload_parameter: str | None
    absent_payload: bytes
    context_parameter: str | None
    resource_parameters: tuple[str, ...]

    def check_payload(self, payload: bytes) -> None:
        """Raise InvalidPayload where `payload`, JSON text, is not what the handler takes."""
        if is_too_deep(payload):
            raise InvalidPayload(TOO_DEEP)
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


def encode_payload(payload: object) -> bytes:
    """The payload as JSON text. Raises InvalidPayload where it can't be written so."""
    try:
        return msgspec.json.encode(payload)
    except RecursionError as error:  # such as a list that holds itself
        raise InvalidPayload(TOO_DEEP) from error
    except (TypeError, ValueError) as error:
        raise InvalidPayload(f"it can't be written as JSON: {error}") from error


def where_to_run(handler: Callable[..., Any], wanted: str | None) -> RunsIn:
    """Where `handler` runs: by its kind, or as `wanted`. Raises TypeError, or ValueError."""
    if wanted not in (None, *get_args(RunsIn)):
        raise ValueError(f"runs_in must be 'loop', 'thread' or 'process', not {wanted!r}")
    if wanted is None and wraps_generator(handler):
        raise TypeError(
            f"{name_of(handler)} gives a generator, which nobody would run: if its wrapper runs "
            f"it to the end, write runs_in='thread'{place_of(handler)}"
        )
    match kind_of(handler), wanted:
        case ("async" | "wrapper", None | "loop"):
            return "loop"
        case ("plain", None):
            return "thread"
        case ("plain", "thread" | "process") | ("wrapper", "thread"):  # or that runs it to the end
            return cast("RunsIn", wanted)
        case "wrapper", _:
            raise TypeError(
                f"{name_of(handler)} is an async def, and its coroutine can't come back from a "
                f"process: register a def that runs it, with trio.run{place_of(handler)}"
            )
        case kind, _:
            is_async = kind == "async"
            what = "an async def" if is_async else "a def"
            places = "'loop'" if is_async else "'thread' or 'process'"
            raise TypeError(f"{name_of(handler)} is {what}: it runs in {places}{place_of(handler)}")
