"""What an application registers: its job types, the resources they share, and schedules."""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar, Unpack

from msgspec import UNSET

from job_service.errors import InvalidPayload, UnknownJobType
from job_service.jobs.registration.handler import awaited, function_of, kind_of, name_of, place_of
from job_service.jobs.registration.job_type import JobType, RunsIn, encode_payload, where_to_run
from job_service.jobs.registration.numbers import require_integer, require_seconds
from job_service.jobs.registration.resource import OpenResource, opener_of
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS, Retry
from job_service.jobs.registration.schedule import Cron, Every, Schedule
from job_service.jobs.registration.sendable import check_can_run_in_process
from job_service.jobs.registration.signature import read_signature

MAX_NAME_CHARS = 100

Handler = TypeVar("Handler", bound=Callable[..., Any])
Resource = TypeVar("Resource", bound=Callable[[], Any])


class TypeOptions(TypedDict, total=False):
    """What a scheduled job passes on to `Registry.job`."""

    retry: Retry | None
    timeout: float | None
    concurrency: int | None
    runs_in: RunsIn | None


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

        Raises ValueError where a name is taken, and TypeError where `other` is no Registry.
        """
        if not isinstance(other, Registry):
            raise TypeError(f"what is included must be a Registry, not {other!r}")
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
        name = _default_name(function, "a resource is named after its function")
        self._require_free_resource(name)
        for job_type in self._types.values():
            if job_type.payload_parameter == name:
                raise ValueError(
                    f"register the resource {name!r} before the job type "
                    f"{job_type.name!r}, which takes it"
                )
        self._resources[name] = opener
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
        checked against, and its default what a submission has without a payload.

        `async def` runs on the loop, `def` in a thread or, where `runs_in` says so, in a process,
        which must be able to unpickle it and is killed when the attempt is interrupted. A
        `functools.wraps` wrapper around an `async def` runs on the loop, too, unless `runs_in` says
        "thread", for it runs it to its end. The handler may also be a partial, a method of an
        object, or an object that can be called.

        Raises ValueError where the name is taken, or has not 1 to 100 printable characters, and
        where the timeout or the concurrency is out of its range; TypeError where one of these is of
        another kind, or the function does not fit the above; and ImportError where trio-parallel,
        which processes need, is not installed.
        """
        _refuse_function(name, 'job("name")')
        _check_name(name)
        if timeout is not None:
            require_seconds("timeout", timeout, LONGEST_WAIT_SECONDS)
        if concurrency is not None:
            require_integer("concurrency", concurrency, 1)
        if retry is not None and not isinstance(retry, Retry):
            raise TypeError(f"retry must be a Retry, such as Retry(max_retries=5), not {retry!r}")

        def register(handler: Handler) -> Handler:
            signature = read_signature(handler, self._resources)
            where = where_to_run(handler, runs_in)
            if where == "process":
                check_can_run_in_process(handler)
                if signature.resources:
                    raise TypeError(
                        f"{name_of(handler)} can't take {', '.join(signature.resources)}: "
                        f"resources don't reach into processes{place_of(handler)}"
                    )
            on_loop_by_wrapper = where == "loop" and kind_of(handler) == "wrapper"
            self._add(
                JobType(
                    name=name,
                    handler=awaited(handler) if on_loop_by_wrapper else handler,
                    retry=retry or Retry(),
                    timeout=timeout,
                    concurrency=concurrency,
                    runs_in=where,
                    payload_decoder=signature.decoder,
                    payload_parameter=signature.payload,
                    absent_payload=signature.absent,
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
        payload: object = UNSET,
        overlap: bool = False,
        **options: Unpack[TypeOptions],
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job type that runs when a cron expression says.

        Its name is the function's where none is given; `options` are those of `job`. Each of its
        jobs has `payload`, or else the default of the handler's parameter. While one of its jobs
        has not ended, no other is made, unless `overlap` allows it.

        Raises what `job` does, ValueError where the expression or the time zone is none, and
        InvalidPayload where the handler does not take `payload`.
        """
        _refuse_function(expression, 'cron("0 3 * * *")')
        for what, text in (("the cron expression", expression), ("tz", tz)):
            if not isinstance(text, str):
                raise TypeError(f"{what} must be a str, not {text!r}")
        return self._scheduled(Cron(expression, tz), name, payload, overlap, options)

    def every(
        self,
        seconds: float,
        *,
        name: str | None = None,
        payload: object = UNSET,
        overlap: bool = False,
        **options: Unpack[TypeOptions],
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job type that runs every so many seconds.

        The first time is one interval after the start; for the rest see `cron`. Raises ValueError
        where `seconds` is not above 0, and TypeError where it is no number.
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
        if not isinstance(overlap, bool):
            raise TypeError(f"overlap must be True or False, not {overlap!r}")

        def register(handler: Handler) -> Handler:
            job_type = _default_name(handler, 'write name="…"') if name is None else name
            self.job(job_type, **options)(handler)
            try:
                text = self._payload_of_ticks(job_type, payload)
            except InvalidPayload as error:
                del self._types[job_type]
                problem = f"its handler does not take its payload: {error}"
                if payload is UNSET:
                    problem = "its handler takes a payload, but a tick has none"
                raise InvalidPayload(
                    f"schedule {job_type!r}: {problem}{place_of(handler)}"
                ) from error
            self._schedules.append(Schedule(job_type, text, times, overlap))
            return handler

        return register

    def _payload_of_ticks(self, name: str, payload: object) -> bytes:
        job_type = self.lookup(name)
        text = job_type.absent_payload if payload is UNSET else encode_payload(payload)
        job_type.check_payload(text)
        return text

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


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a job type is named by a str, not {name!r}")
    if not name:
        raise ValueError("a job type needs a name")
    if len(name) > MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"a job type's name has up to {MAX_NAME_CHARS} printable characters, and no spaces at "
            f"its ends: not {name[:MAX_NAME_CHARS]!r}"
        )


def _default_name(function: Callable[..., Any], hint: str) -> str:
    """The name of the function, which no lambda has, nor an object that can be called."""
    name = getattr(function_of(function), "__name__", "")
    if name.isidentifier() and name != "__call__":
        return str(name)
    raise TypeError(f"{name_of(function)} has no name to go by: {hint}{place_of(function)}")
