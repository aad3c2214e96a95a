"""What an application registers: its job types, the resources they share, and schedules."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypedDict, TypeVar, Unpack, overload

from msgspec import UNSET, UnsetType

from job_service.errors import InvalidPayload, UnknownJobType
from job_service.jobs.registration.handler import own_name_of
from job_service.jobs.registration.hooks import Hooks, around_of, on_failure_of
from job_service.jobs.registration.job_type import JobType, check_terms, job_type_of
from job_service.jobs.registration.limit_key import Per
from job_service.jobs.registration.placement import RunsIn
from job_service.jobs.registration.rate import Rate
from job_service.jobs.registration.resource import (
    RegisteredResource,
    ResourcePlace,
    resource_of,
)
from job_service.jobs.registration.retry import Retry
from job_service.jobs.registration.schedule import Cron, Every, Schedule, schedule_of

Handler = TypeVar("Handler", bound=Callable[..., Any])
Resource = TypeVar("Resource", bound=Callable[[], Any])
Hook = TypeVar("Hook", bound=Callable[..., Any])


class TypeOptions(TypedDict, total=False):
    """The options of `Registry.job`, which `Registry.cron` and `Registry.every` take, too."""

    retry: Retry | None
    timeout: float | None
    concurrency: int | None
    rate: Rate | None
    per: Per | None
    runs_in: RunsIn | None
    sensitive: bool


class Registry:
    """The job types, the resources and the schedules of one application.

    An application fills it with `job`, `cron`, `every`, `resource`, `around`, `on_failure` and
    `include`. The other members are for the service, which reads it.
    """

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}
        self._resources: dict[str, RegisteredResource] = {}
        self._schedules: list[Schedule] = []
        self._hooks = Hooks()
        self._hooks_within: dict[str, Hooks] = {}  # with which included job types came

    @property
    def names(self) -> list[str]:
        """The names of all job types, sorted."""
        return sorted(self._types)

    @property
    def resources(self) -> Mapping[str, RegisteredResource]:
        """All resources, by their names, in the order of their registration."""
        return self._resources

    @property
    def needs_processes(self) -> bool:
        """Whether any handler runs in a process."""
        return any(job_type.runs_in == "process" for job_type in self._types.values())

    @property
    def needs_asyncio(self) -> bool:
        """Whether any handler or resource lives on an asyncio loop."""
        places = {job_type.runs_in for job_type in self._types.values()}
        places |= {resource.runs_in for resource in self._resources.values()}
        return "asyncio" in places

    @property
    def has_hooks_for_failures(self) -> bool:
        """Whether anything is to be called when a job has failed."""
        return any(job_type.hooks.on_failure for job_type in self._types.values())

    @property
    def schedules(self) -> list[Schedule]:
        """All schedules, in the order of their registration."""
        return list(self._schedules)

    def lookup(self, name: str) -> JobType:
        """The job type `name`. Raises UnknownJobType if there is none."""
        try:
            return self._types[name]
        except KeyError:
            raise UnknownJobType(name, self.names) from None

    def include(self, other: "Registry") -> None:
        """Add all job types, resources and schedules of `other`, or none of them.

        Its job types keep their hooks. Those of this registry, whenever they are registered, hold
        for them, too, and are the outer ones.

        Raises ValueError if a name is taken, and TypeError if `other` is no Registry.
        """
        require_registry("include", other)
        for name in other.names:
            self._require_free(name)
        for name in other.resources:
            self._require_free_resource(name)
        for name in other.names:
            job_type = other.lookup(name)
            self._hooks_within[name] = job_type.hooks
            self._add(job_type)
        self._resources.update(other.resources)
        self._schedules += other.schedules

    @overload
    def resource(self, function: Resource) -> Resource: ...

    @overload
    def resource(self, *, runs_in: ResourcePlace) -> Callable[[Resource], Resource]: ...

    def resource(
        self, function: Resource | UnsetType = UNSET, *, runs_in: ResourcePlace = "loop"
    ) -> Resource | Callable[[Resource], Resource]:
        """Register the decorated function as the resource that has its name.

        It is an async generator function that yields once, or any callable that returns an async
        context manager. The service enters its resources in the order of their registration before
        the workers start, and leaves them in the reverse order after the last worker has stopped. A
        handler that is registered later receives what was yielded in the parameter of that name.

        The service ends with the error if a resource raises one, while it is entered, open or left.
        Leaving them takes a bounded time, and is then cancelled.

        With `runs_in="asyncio"` it is entered and left on the asyncio loop, for handlers there.

        With `runs_in="process"` it is a function at the top of its module: a plain generator
        function that yields once, or one that returns a context manager. Each process enters it
        before the first job there that takes it, in that job's time, and leaves it when the process
        ends by itself, but not if it is killed. What it raises fails the job's attempt.

        Raises ValueError if the name is taken, or if a handler that was registered before takes its
        payload in a parameter of that name; and TypeError if the function is nothing of the above.
        """
        if function is UNSET:
            return lambda function: self._add_resource(function, runs_in)
        return self._add_resource(function, runs_in)

    def _add_resource(self, function: Resource, runs_in: ResourcePlace) -> Resource:
        resource = resource_of(function, runs_in)
        name = own_name_of(function, "a resource is named after its function")
        self._require_free_resource(name)
        for job_type in self._types.values():
            if job_type.payload_parameter == name:
                raise ValueError(
                    f"register the resource {name!r} before the job type "
                    f"{job_type.name!r}, which takes it"
                )
        self._resources[name] = resource
        return function

    def around(self, function: Hook) -> Hook:
        """Run the decorated function around every attempt of every job type of this registry.

        It is an async generator function that yields once, or any callable that returns an async
        context manager. It takes the attempt's JobContext, and then any resources that were
        registered before, by their names. Hooks nest in the order of their registration, the first
        of them outermost, whether the job types were registered before or after them.

        What it raises fails the attempt as if the handler had raised it, so it may be a Snooze or a
        Discard. It sees what the handler raises, and may raise something else instead. If it raises
        nothing then, the error goes on all the same. Context variables that it sets are seen by the
        handler, unless that runs in a process. Timeouts and cancellations count for it, too.

        Raises TypeError if the function is nothing of the above.
        """
        self._add_hooks(Hooks(around=(around_of(function, self._resources_on_loop),)))
        return function

    def on_failure(self, function: Hook) -> Hook:
        """Call the decorated function when a job of this registry has failed for good.

        It is an `async def`, or a `def`, which runs in a thread. It takes the JobDetail and the
        error, and then any resources that were registered before, by their names. If no handler
        has raised an error, it is a TimeoutError or RuntimeError that says what happened: the
        attempt took too long, its process ended, or a job that it comes after has not completed.

        It runs beside the workers and has 10 seconds. What it raises is told by `hook_failed` and
        changes nothing. It is called once at most: not if the process dies first, nor if the
        service is stopped before its turn comes. A drain waits for it until the grace is over.

        Raises TypeError if the function is nothing of the above.
        """
        self._add_hooks(Hooks(on_failure=(on_failure_of(function, self._resources_on_loop),)))
        return function

    def job(
        self,
        name: str,
        *,
        retry: Retry | None = None,
        timeout: float | None = None,
        concurrency: int | None = None,
        rate: Rate | None = None,
        per: Per | None = None,
        runs_in: RunsIn | None = None,
        sensitive: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as the handler of the job type `name`.

        The parameter annotated `JobContext` receives the job's context, and one with the name of a
        resource that was registered before receives the resource. One other parameter may receive
        the payload. Each submission is checked against its annotation, which is any type that
        msgspec or pydantic knows; its default stands for a payload that is left out.

        `retry` says when a failed attempt is repeated: by default as `Retry()` does. `timeout`
        bounds each attempt, in seconds, up to 10 years. `concurrency` is how many jobs of this type
        may run at the same time, and `rate` how many may start in a time. Without them there is no
        bound but the number of workers.

        `per` gives the limit key of a payload, a text or an int, such as whose job it is. Then both
        bounds hold for the jobs of each key apart, and keys that have jobs ready take turns. It is
        called when a job is submitted, so it must not block; what it raises refuses the payload.

        An `async def` runs on the event loop, a `def` in a thread. With `runs_in="process"` a `def`
        runs in a process, which imports it by its name or unpickles it; to interrupt an attempt,
        the process is killed. With `runs_in="asyncio"` an `async def` runs on a loop of asyncio's,
        in a thread of its own; to interrupt an attempt, its task is cancelled.

        If it is `sensitive`, only who may operate the service sees payloads and results over HTTP,
        and no text of an error quotes them: of what the handler raises, only the kind is told.

        A wrapper around an `async def`, made with `functools.wraps`, runs on the loop; with
        `runs_in="thread"` it runs in a thread, and must run the coroutine itself. A handler may
        also be a partial, a method of an object, or an object that can be called.

        Raises ValueError if the name is taken or has not 1 to 100 printable characters, or if the
        timeout or the concurrency is out of its range; TypeError if an option is of the wrong type,
        if `per` is given and the handler takes no payload, or if the function can't be such a
        handler; and ImportError if it needs a process and trio-parallel is not installed.
        """
        _refuse_function(name, 'job("name")')
        check_terms(
            name,
            retry=retry,
            timeout=timeout,
            concurrency=concurrency,
            rate=rate,
            per=per,
            sensitive=sensitive,
        )

        def register(handler: Handler) -> Handler:
            self._add(
                job_type_of(
                    name,
                    handler,
                    self._resources,
                    retry=retry,
                    timeout=timeout,
                    concurrency=concurrency,
                    rate=rate,
                    per=per,
                    runs_in=runs_in,
                    sensitive=sensitive,
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

        The expression is one that Debian's cron takes, such as `0 3 * * *` or `@daily`, and holds
        for the clocks of the time zone `tz`. The job type has the name of the function unless
        `name` is given; `options` are those of `job`. Each of its scheduled jobs gets `payload`,
        or else the default of the handler's parameter. While one of them has not ended, no other is
        made, unless `overlap` is True.

        Raises what `job` does; ValueError if the expression or the time zone is invalid; TypeError
        if an argument is of the wrong type; and InvalidPayload if the handler does not take
        `payload`.
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
        """Register the decorated function as a job type that runs every `seconds` seconds.

        The first time is one interval after the service has started. All else is as with `cron`.

        Raises what `job` does; ValueError if `seconds` is not above 0 and up to 10 years; TypeError
        if an argument is of the wrong type; and InvalidPayload if the handler does not take
        `payload`.
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
            job_type = own_name_of(handler, 'write name="…"') if name is None else name
            self.job(job_type, **options)(handler)
            try:
                schedule = schedule_of(self._types[job_type], payload, times, overlap)
            except InvalidPayload:
                del self._types[job_type]
                raise
            self._schedules.append(schedule)
            return handler

        return register

    def _add(self, job_type: JobType) -> None:
        self._require_free(job_type.name)
        self._types[job_type.name] = replace(job_type, hooks=job_type.hooks.within(self._hooks))

    @property
    def _resources_on_loop(self) -> list[str]:
        return [name for name, each in self._resources.items() if each.runs_in == "loop"]

    def _add_hooks(self, hooks: Hooks) -> None:
        self._hooks = hooks.within(self._hooks)
        for name, job_type in self._types.items():
            inner = self._hooks_within.get(name, Hooks())
            self._types[name] = replace(job_type, hooks=inner.within(self._hooks))

    def _require_free(self, name: str) -> None:
        if name in self._types:
            raise ValueError(f"there is already a job type {name!r}")

    def _require_free_resource(self, name: str) -> None:
        if name in self._resources:
            raise ValueError(f"there is already a resource {name!r}")


def _refuse_function(argument: object, call: str) -> None:
    """Raise TypeError if a decorator is given the function instead of its own arguments.

    Without this, Python would say nothing, and the function would not be registered.
    """
    if callable(argument):
        raise TypeError(f"write @registry.{call}")


def require_registry(taker: str, registry: object) -> None:
    """Raise TypeError, which says who takes a Registry, if this is none."""
    if not isinstance(registry, Registry):
        raise TypeError(f"{taker} takes a Registry, not {registry!r}")
