"""The job types a service knows: a handler each, with what its payload must look like."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

from service.jobs.context import JobContext
from service.jobs.failure import describe
from service.jobs.processes import check_can_run_in_process
from service.jobs.resources import OpenResource, opener_of
from service.jobs.retry import Retry
from service.jobs.signature import read_signature

Handler = TypeVar("Handler", bound=Callable[..., Any])
Resource = TypeVar("Resource", bound=Callable[[], Any])
RunsIn = Literal["loop", "thread", "process"]


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
        try:
            payload.decode()  # the decoder does not look into what its type does not name
            self.payload_decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidPayload(str(error)) from error
        except RecursionError as error:
            raise InvalidPayload("it is nested too deeply") from error
        except Exception as error:  # from a payload type that checks itself
            raise InvalidPayload(describe(error)) from error

    def arguments(
        self, payload: bytes, context: JobContext, resources: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the handler is called with: a fresh payload, the context, and its resources."""
        arguments: dict[str, Any] = {}
        if self.payload_parameter is not None:
            arguments[self.payload_parameter] = self.payload_decoder.decode(payload)
        if self.context_parameter is not None:
            arguments[self.context_parameter] = context
        if self.resource_parameters:
            arguments.update({name: resources[name] for name in self.resource_parameters})
        return arguments


class Registry:
    """The job types of one application, by name, and the resources that their handlers share."""

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}
        self._resources: dict[str, OpenResource] = {}

    @property
    def names(self) -> list[str]:
        """The names of all job types, sorted."""
        return sorted(self._types)

    @property
    def resources(self) -> Mapping[str, OpenResource]:
        """How each resource is opened, in the order of their registration."""
        return self._resources

    @property
    def needs_processes(self) -> bool:
        """Whether any handler runs in a process."""
        return any(job_type.runs_in == "process" for job_type in self._types.values())

    def lookup(self, name: str) -> JobType:
        """The job type `name`. Raises UnknownJobType where there is none."""
        try:
            return self._types[name]
        except KeyError:
            raise UnknownJobType(name, self.names) from None

    def include(self, other: "Registry") -> None:
        """Add all job types and resources of `other`, or none.

        Raises ValueError where a name is taken.
        """
        for name in other.names:
            self._require_free(name)
        for name in other.resources:
            self._require_free_resource(name)
        for name in other.names:
            self._add(other.lookup(name))
        self._resources.update(other.resources)

    def resource(self, function: Resource) -> Resource:
        """Register the decorated function as the resource of its name.

        An async generator function that yields once, or any callable that returns an async
        context manager. It is entered before the workers start and left when the last has
        stopped, in the reverse order; handlers registered after it receive what it yields in their
        parameter of its name. Where entering or leaving it raises, or a task of its own, that
        ends the service. When jobs have ended, closing has a bounded time; then it is cancelled.

        Raises ValueError where the name is taken, and TypeError where it is not as above.
        """
        opener = opener_of(function)
        self._require_free_resource(function.__name__)
        self._resources[function.__name__] = opener
        return function

    def job(
        self,
        name: str,
        *,
        retry: Retry | None = None,
        timeout: float | None = None,
        concurrency: int | None = None,
        runs_in: RunsIn | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as the handler of the job type `name`.

        The parameter annotated `JobContext`, if there is one, receives the job's context; those
        named as a resource that was registered before, the resource. The other one, if there is
        one, receives the payload; its annotation, any type msgspec knows, is what submissions are
        checked against.

        `async def` runs on the loop, `def` in a thread or, where `runs_in` says so, in a process,
        which must be able to import it by name and is killed when the attempt is interrupted.

        Raises ValueError where the name is taken or empty, the timeout is not above 0, or the
        concurrency is below 1; TypeError where the function does not fit the above; and ImportError
        where trio-parallel, which processes need, is not installed.
        """
        if not name:
            raise ValueError("a job type needs a name")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be above 0, not {timeout}")
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, not {concurrency}")

        def register(handler: Handler) -> Handler:
            signature = read_signature(handler, self._resources)
            where = _where_to_run(handler, runs_in)
            if where == "process":
                check_can_run_in_process(handler)
                if signature.resources:
                    raise TypeError(
                        f"{handler.__qualname__} can't take {', '.join(signature.resources)}: "
                        "resources don't reach into processes"
                    )
            self._add(
                JobType(
                    name=name,
                    handler=handler,
                    retry=retry or Retry(),
                    timeout=timeout,
                    concurrency=concurrency,
                    runs_in=where,
                    payload_decoder=msgspec.json.Decoder(signature.payload_type),
                    payload_parameter=signature.payload,
                    context_parameter=signature.context,
                    resource_parameters=signature.resources,
                )
            )
            return handler

        return register

    def _add(self, job_type: JobType) -> None:
        self._require_free(job_type.name)
        self._types[job_type.name] = job_type

    def _require_free(self, name: str) -> None:
        if name in self._types:
            raise ValueError(f"there is already a job type {name!r}")

    def _require_free_resource(self, name: str) -> None:
        if name in self._resources:
            raise ValueError(f"there is already a resource {name!r}")


def _where_to_run(handler: Callable[..., Any], wanted: str | None) -> RunsIn:
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
