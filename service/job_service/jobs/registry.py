"""What an application registers: its job types, the resources they share, and schedules."""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar, Unpack

import msgspec

from job_service.jobs.job_type import InvalidPayload, JobType, RunsIn, where_to_run
from job_service.jobs.processes import check_can_run_in_process
from job_service.jobs.resources import OpenResource, opener_of
from job_service.jobs.retry import Retry
from job_service.jobs.schedule import Cron, Every, Schedule
from job_service.jobs.signature import read_signature

Handler = TypeVar("Handler", bound=Callable[..., Any])
Resource = TypeVar("Resource", bound=Callable[[], Any])


class TypeOptions(TypedDict, total=False):
    """What a scheduled job passes on to `Registry.job`."""

    retry: Retry | None
    timeout: float | None
    concurrency: int | None
    runs_in: RunsIn | None


class UnknownJobType(Exception):
    """No handler is registered under this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        shown = name if len(name) <= 100 else f"{name[:100]}…"
        super().__init__(f"there is no job type {shown!r}; known are {', '.join(known) or 'none'}")


class Registry:
    """The job types of one application, by name, and the resources that their handlers share."""

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}
        self._resources: dict[str, OpenResource] = {}
        self._schedules: list[Schedule] = []

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
        """Add all job types, resources and schedules of `other`, or none.

        Raises ValueError where a name is taken.
        """
        for name in other.names:
            self._require_free(name)
        for name in other.resources:
            self._require_free_resource(name)
        for name in other.names:
            self._add(other.lookup(name))
        self._resources.update(other.resources)
        self._schedules += other.schedules

    def resource(self, function: Resource) -> Resource:
        """Register the decorated function as the resource of its name.

        An async generator function that yields once, or any callable that returns an async
        context manager. It is entered before the workers start and left when the last has
        stopped, in the reverse order; handlers registered after it receive what it yields in their
        parameter of its name. Where entering or leaving it raises, or a task of its own, that
        ends the service. When jobs have ended, closing has a bounded time; then it is cancelled.

        Raises ValueError where the name is taken, or is that of the payload of a handler that was
        registered before, and TypeError where it is not as above.
        """
        opener = opener_of(function)
        self._require_free_resource(function.__name__)
        for job_type in self._types.values():
            if job_type.payload_parameter == function.__name__:
                raise ValueError(
                    f"register the resource {function.__name__!r} before the job type "
                    f"{job_type.name!r}, which takes it"
                )
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
        _refuse_function(name, 'job("name")')
        if not name:
            raise ValueError("a job type needs a name")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be above 0, not {timeout}")
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, not {concurrency}")

        def register(handler: Handler) -> Handler:
            signature = read_signature(handler, self._resources)
            where = where_to_run(handler, runs_in)
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
                    payload_decoder=signature.decoder,
                    payload_parameter=signature.payload,
                    context_parameter=signature.context,
                    resource_parameters=signature.resources,
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
        **options: Unpack[TypeOptions],
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job type that runs when a cron expression says.

        Its name is the function's where none is given; `options` are those of `job`. While one of
        its jobs has not ended, no other is made, unless `overlap` allows it.

        Raises what `job` does, ValueError where the expression or the time zone is none, and
        InvalidPayload where the handler does not take `payload`.
        """
        _refuse_function(expression, 'cron("0 3 * * *")')
        return self._scheduled(Cron(expression, tz), name, payload, overlap, options)

    def every(
        self,
        seconds: float,
        *,
        name: str | None = None,
        payload: object = None,
        overlap: bool = False,
        **options: Unpack[TypeOptions],
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job type that runs every so many seconds.

        The first time is one interval after the start; for the rest see `cron`. Raises ValueError
        where `seconds` is not above 0.
        """
        _refuse_function(seconds, "every(seconds=30)")
        return self._scheduled(Every(seconds), name, payload, overlap, options)

    def _scheduled(
        self,
        times: Cron | Every,
        name: str | None,
        payload: object,
        overlap: bool,
        options: TypeOptions,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            job_type = handler.__name__ if name is None else name
            text = msgspec.json.encode(payload)
            self.job(job_type, **options)(handler)
            try:
                self.lookup(job_type).check_payload(text)
            except InvalidPayload as error:
                del self._types[job_type]
                problem = f"its handler does not take its payload: {error}"
                if payload is None:
                    problem = "its handler takes a payload, but a tick has none"
                raise InvalidPayload(f"schedule {job_type!r}: {problem}") from error
            self._schedules.append(Schedule(job_type, text, times, overlap))
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


def _refuse_function(argument: object, call: str) -> None:
    """Python says nothing where a decorator is given the function instead of its arguments."""
    if callable(argument):
        raise TypeError(f"write @registry.{call}")
