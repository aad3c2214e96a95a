"""The job types a service knows: a handler each, with what its payload must look like."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar, Unpack

import msgspec

from service.jobs.context import JobContext
from service.jobs.failure import describe
from service.jobs.retry import Retry
from service.jobs.schedule import Cron, Every, Schedule

Handler = TypeVar("Handler", bound=Callable[..., Any])

_CALLABLE_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class JobOptions(TypedDict, total=False):
    """What a scheduled job passes on to `Registry.job`."""

    retry: Retry | None
    timeout: float | None


class UnknownJobType(Exception):
    """No handler is registered under this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        shown = name if len(name) <= 100 else f"{name[:100]}…"
        super().__init__(f"there is no job type {shown!r}; known are {', '.join(known) or 'none'}")


class InvalidPayload(Exception):
    """The payload is not what the job type's handler takes."""


@dataclass(frozen=True, slots=True)
class JobType:
    """One registered handler and the terms on which it is run.

    `timeout` bounds each attempt, in seconds; None lets it run for as long as it likes.
    """

    name: str
    handler: Callable[..., Any]
    retry: Retry
    timeout: float | None
    runs_in_thread: bool
    payload_decoder: msgspec.json.Decoder[Any]
    payload_parameter: str | None
    context_parameter: str | None

    def check_payload(self, payload: bytes) -> None:
        """Raise InvalidPayload where `payload`, JSON text, is not what the handler takes."""
        try:
            payload.decode()  # the decoder does not look into what its type does not name
            self.payload_decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidPayload(str(error)) from error
        except RecursionError as error:
            raise InvalidPayload("it is nested too deeply") from error
        except Exception as error:  # from a payload type that checks itself
            raise InvalidPayload(describe(error)) from error

    def arguments(self, payload: bytes, context: JobContext) -> dict[str, Any]:
        """What the handler is called with: a fresh payload, and the context where it takes one."""
        arguments: dict[str, Any] = {}
        if self.payload_parameter is not None:
            arguments[self.payload_parameter] = self.payload_decoder.decode(payload)
        if self.context_parameter is not None:
            arguments[self.context_parameter] = context
        return arguments


class Registry:
    """The job types of one application, by name."""

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}
        self._schedules: list[Schedule] = []

    @property
    def names(self) -> list[str]:
        """The names of all job types, sorted."""
        return sorted(self._types)

    @property
    def schedules(self) -> list[Schedule]:
        """All schedules, in the order of their registration."""
        return list(self._schedules)

    def lookup(self, name: str) -> JobType:
        """The job type `name`. Raises UnknownJobType where there is none."""
        try:
            return self._types[name]
        except KeyError:
            raise UnknownJobType(name, self.names) from None

    def include(self, other: "Registry") -> None:
        """Add all job types of `other`, or none: raises ValueError where a name is taken."""
        for name in other.names:
            self._require_free(name)
        for name in other.names:
            self._add(other.lookup(name))
        self._schedules += other.schedules

    def job(
        self, name: str, *, retry: Retry | None = None, timeout: float | None = None
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as the handler of the job type `name`.

        The parameter annotated `JobContext`, if there is one, receives the job's context. The
        other one, if there is one, receives the payload; its annotation, any type msgspec knows,
        is what submissions are checked against. `async def` runs on the loop, `def` in a thread.

        Raises ValueError where the name is taken or empty, or the timeout is not above 0, and
        TypeError where the signature does not fit the above.
        """
        if not name:
            raise ValueError("a job type needs a name")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be above 0, not {timeout}")

        def register(handler: Handler) -> Handler:
            payload_parameter, payload_type, context_parameter = _read_signature(handler)
            self._add(
                JobType(
                    name=name,
                    handler=handler,
                    retry=retry or Retry(),
                    timeout=timeout,
                    runs_in_thread=not inspect.iscoroutinefunction(handler),
                    payload_decoder=msgspec.json.Decoder(payload_type),
                    payload_parameter=payload_parameter,
                    context_parameter=context_parameter,
                )
            )
            return handler

        return register

    def cron(
        self,
        expression: str,
        *,
        tz: str = "UTC",
        name: str | None = None,
        payload: object = None,
        overlap: bool = False,
        **options: Unpack[JobOptions],
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job type that runs when a cron expression says.

        Its name is the function's where none is given; `options` are those of `job`. While one of
        its jobs has not ended, no other is made, unless `overlap` allows it.

        Raises what `job` does, ValueError where the expression or the time zone is none, and
        InvalidPayload where the handler does not take `payload`.
        """
        return self._scheduled(Cron(expression, tz), name, payload, overlap, options)

    def every(
        self,
        seconds: float,
        *,
        name: str | None = None,
        payload: object = None,
        overlap: bool = False,
        **options: Unpack[JobOptions],
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job type that runs every so many seconds.

        The first time is one interval after the start; for the rest see `cron`. Raises ValueError
        where `seconds` is not above 0.
        """
        return self._scheduled(Every(seconds), name, payload, overlap, options)

    def _scheduled(
        self,
        times: Cron | Every,
        name: str | None,
        payload: object,
        overlap: bool,
        options: JobOptions,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            job_type = handler.__name__ if name is None else name
            text = msgspec.json.encode(payload)
            self.job(job_type, **options)(handler)
            try:
                self.lookup(job_type).check_payload(text)
            except InvalidPayload:
                del self._types[job_type]
                raise
            self._schedules.append(Schedule(job_type, text, times, overlap))
            return handler

        return register

    def _add(self, job_type: JobType) -> None:
        self._require_free(job_type.name)
        self._types[job_type.name] = job_type

    def _require_free(self, name: str) -> None:
        if name in self._types:
            raise ValueError(f"there is already a job type {name!r}")


def _read_signature(handler: Callable[..., Any]) -> tuple[str | None, Any, str | None]:
    """The payload's parameter and type and the context's parameter, None where there is none."""
    annotations = typing.get_type_hints(handler)
    parameters = inspect.signature(handler).parameters
    contexts = [name for name in parameters if annotations.get(name) is JobContext]
    payloads = [name for name in parameters if name not in contexts]
    if (
        inspect.isgeneratorfunction(handler)
        or inspect.isasyncgenfunction(handler)
        or len(contexts) > 1
        or len(payloads) > 1
        or any(parameter.kind not in _CALLABLE_BY_NAME for parameter in parameters.values())
    ):
        signature = ", ".join(map(str, parameters.values()))
        raise TypeError(
            f"{handler.__qualname__}({signature}) can't handle jobs: a handler takes "
            "a payload and a parameter annotated JobContext, each at most once, and returns"
        )
    payload_parameter = payloads[0] if payloads else None
    payload_type = annotations.get(payload_parameter, Any) if payload_parameter else None
    return payload_parameter, payload_type, contexts[0] if contexts else None
