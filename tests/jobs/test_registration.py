"""A mistake is refused when it is registered; whatever can reasonably work, works."""

import asyncio
import functools
import inspect
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import msgspec
import pytest
import trio

from job_service import InvalidPayload, JobContext, Registry, Retry
from job_service.json_text.nesting import MAX_DEPTH
from tests.jobs.steps import result_of, running

HERE = re.escape(__file__)


def handler_of(annotation: Any) -> Callable[..., Any]:
    """A handler whose payload is of this type."""

    async def handler(payload): ...  # type: ignore[no-untyped-def]  # it is annotated below

    handler.__annotations__["payload"] = annotation
    return handler


# What a payload may be.

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Item = TypeVar("Item")


class Order:
    """A plain class, as applications have them."""

    def __init__(self, id: int) -> None:
        self.id = id


class Talks(Protocol):
    """A protocol."""

    def talk(self) -> None:
        """Say something."""


class Parcel(msgspec.Struct):
    """A struct with something deep inside that JSON can't carry."""

    orders: "list[dict[str, Order | None]] | None" = None


class Tree(msgspec.Struct):
    """A struct that contains others of its type."""

    children: "list[Tree]" = []


class Window(TypedDict):
    """A dict with known keys."""

    at: Path


class Point(NamedTuple):
    """A named tuple."""

    x: Annotated[int, msgspec.Meta(ge=0)]


@dataclass
class Dated:
    """A dataclass with a date."""

    on: datetime


class Box(msgspec.Struct, Generic[Item]):
    """A generic struct."""

    content: Item


class Endless(msgspec.Struct):
    """A struct that must hold another of its type."""

    pair: "tuple[int, Endless]"


class Chain(msgspec.Struct):
    """A struct that may hold another of its type."""

    next: "Chain | int"


class Changing(msgspec.Struct):
    """A mutable struct, which is not hashable."""

    x: int


class Fixed(msgspec.Struct, frozen=True):
    """A frozen struct, which is hashable."""

    x: int
    next: "Fixed | None" = None


class FixedInPart(msgspec.Struct, frozen=True):
    """A frozen struct with a field that is not hashable."""

    x: list[int]


class Colour(Enum):
    """An enum of strings."""

    RED = "red"


@dataclass
class Unhashable:
    """A dataclass that is not hashable."""

    x: int


def pydantic_like() -> type:
    """A class that looks like a model of pydantic 1, which need not be installed."""
    base = type("BaseModel", (), {"__module__": "pydantic.main"})
    return type("Model", (base,), {})


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (Order, "JSON can't carry .*Order: write a type that msgspec knows"),
        (Order | None, "JSON can't carry .*Order"),
        (list[Order], "JSON can't carry .*Order"),
        (tuple[int, Order], "JSON can't carry .*Order"),
        (dict[str, list[Order]], "JSON can't carry .*Order"),
        (Annotated[Order, "a note"], "JSON can't carry .*Order"),
        (Parcel, "JSON can't carry .*Order"),
        (Box[Order], "JSON can't carry .*Order"),
        (Window, "JSON can't carry pathlib.Path: write str"),
        (Path | None, "JSON can't carry pathlib.Path: write str"),
        (pydantic_like(), "models of pydantic 1 are not supported: derive it"),
        (list[pydantic_like()], "models of pydantic 1 are not supported: derive it"),  # type: ignore[misc]
        (Callable[[], None], "JSON can't carry collections.abc.Callable"),
        (Talks, "JSON can't carry .*Talks"),
        (complex, "JSON can't carry complex"),
        (type[int], "JSON can't carry type"),
        (deque, "JSON can't carry collections.deque"),
        (Order | int, "unions containing a custom type .*: write a type that msgspec knows"),
        (Path | str, "unions containing a custom type .*: write a type that msgspec knows"),
        (Endless, "each Endless must hold another Endless: make it optional"),
        (list[Endless], "each Endless must hold another Endless"),
        (set[Changing], "Changing, which is not hashable: write list"),
        (frozenset[FixedInPart], "FixedInPart, which is not hashable: write list"),
        (dict[bool, int], "a bool can't be: write dict"),
        (list[dict[tuple[int, int], int]], "a tuple can't be: write dict"),
        (set[list[int]], "a list, which is not hashable: write list"),
        (set[Unhashable], "Unhashable, which is not hashable: write list"),
        (frozenset[tuple[int, list[int]]], "a tuple, which is not hashable"),
        (Enum("Nothing", []), "at least one item"),
        (list[JobContext], "is for the job's context: annotate it as JobContext"),
        (JobContext | int, "is for the job's context: annotate it as JobContext"),
        (
            type("MyContext", (JobContext,), {}),
            "is for the job's context: annotate it as JobContext",
        ),
    ],
)
def test_a_payload_that_nobody_could_submit_is_refused_in_one_line(
    annotation: Any, problem: str, registry: Registry
) -> None:
    """The line names the handler, its place and what to write; nothing is registered."""
    with pytest.raises(TypeError) as refused:
        registry.job("order")(handler_of(annotation))
    line = str(refused.value)
    assert re.search(problem, line), line
    assert re.search(rf"handler\(payload\): 'payload' .* \({HERE}:\d+\)$", line), line
    assert registry.names == []


@pytest.mark.parametrize(
    ("annotation", "payload"),
    [
        (object, [1]),
        (Any, None),
        (Iterable[int], [1]),
        (bytes, "eA=="),
        (Decimal, "1.50"),
        (UUID, "12345678-1234-5678-1234-567812345678"),
        (Dated, {"on": "2026-01-31T00:00:00Z"}),
        (Tree, {"children": [{"children": []}]}),
        (Box[int], {"content": 1}),
        (Chain, {"next": {"next": 1}}),
        (set[Fixed], [{"x": 1, "next": {"x": 2}}]),
        (Colour, "red"),
        (Literal["a", 1], 1),
        (dict[int, Colour], {"1": "red"}),
        (set[tuple[int, str]], [[1, "a"]]),
        (msgspec.Raw, {"a": 1}),
        (int | str | None, "x"),
        (memoryview, "eA=="),
    ],
)
def test_any_type_that_json_can_carry_is_a_payload(
    annotation: Any, payload: object, registry: Registry
) -> None:
    """Of the standard library, of msgspec, or the application's own."""
    registry.job("any")(handler_of(annotation))
    registry.lookup("any").check_payload(msgspec.json.encode(payload))


@pytest.mark.parametrize(
    ("annotation", "fits", "does_not"),
    [
        (Percent, 100, 4711),
        (Percent | None, None, -1),
        (list[Percent], [1], [101]),
        (Annotated[list[int], msgspec.Meta(min_length=2)], [1, 2], [1]),
        (Annotated[str, msgspec.Meta(pattern="^[A-Z]+$")], "ABC", "abc"),
        (Annotated[datetime, msgspec.Meta(tz=True)], "2026-01-31T00:00:00Z", "2026-01-31T00:00:00"),
        (Point, [1], [-1]),
        ("Percent", 100, 4711),
    ],
)
def test_constraints_of_a_payload_hold_wherever_they_are_written(
    annotation: Any, fits: object, does_not: object, registry: Registry
) -> None:
    """Also on the parameter itself, and in an annotation that is a string."""
    registry.job("bounded")(handler_of(annotation))
    check = registry.lookup("bounded").check_payload
    check(msgspec.json.encode(fits))
    with pytest.raises(InvalidPayload):
        check(msgspec.json.encode(does_not))


# A payload that is left out.


async def test_a_submission_without_a_payload_has_the_default(registry: Registry) -> None:
    """Each attempt gets a fresh one. A null is a payload like any other."""

    @registry.job("list")
    async def to_list(payload: list[int] = [7]) -> list[int]:  # noqa: B006  # as users may
        payload.append(1)
        return payload

    @registry.job("struct")
    async def struct(*, box: Box[int] | None = Box(3)) -> int | None:  # noqa: B008
        return box.content if box else None

    @registry.job("implicit")
    async def implicit(payload: int = None) -> int | None:  # type: ignore[assignment]  # noqa: RUF013
        return payload

    async with running(registry) as rig:
        for name, payload, result in (
            ("list", [], [7, 1]),
            ("list", [], [7, 1]),
            ("list", [[5]], [5, 1]),
            ("struct", [], 3),
            ("struct", [None], None),
            ("implicit", [], None),
            ("implicit", [5], 5),
        ):
            job = await rig.queue.submit(name, *payload)
            assert result_of(await rig.queue.wait(job.id, 10)) == result
        with pytest.raises(InvalidPayload):
            await rig.queue.submit("list", None)


async def test_a_schedule_without_a_payload_has_the_default(
    registry: Registry, autojump_clock: trio.abc.Clock
) -> None:
    """Like a submission."""

    @registry.every(seconds=10)
    async def refresh(deep: bool = True) -> bool:
        return deep

    async with running(registry) as rig:
        await trio.sleep(15)
        (job,) = await rig.queue.list()
        assert result_of(await rig.queue.get(job.id)) is True


DEEP = msgspec.json.decode(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("annotation", "default"),
    [(int, "text"), (Percent, 200), (Any, object()), (Any, Order(1)), (Any, DEEP)],
)
def test_a_default_that_could_not_be_submitted_is_refused(
    annotation: Any, default: object, registry: Registry
) -> None:
    """With it, every submission without a payload would fail."""

    def handler(payload=default): ...  # type: ignore[no-untyped-def]  # it is annotated below

    handler.__annotations__["payload"] = annotation
    with pytest.raises(TypeError, match=rf"has a default that can't be .* \({HERE}:\d+\)$"):
        registry.job("wrong")(handler)


# The parameter for the context.


@pytest.mark.parametrize(
    "annotation",
    [
        *(JobContext, JobContext | None, Optional[JobContext], Annotated[JobContext, "a note"]),  # noqa: UP045
        *("JobContext", "JobContext | None", Annotated[JobContext | None, 1]),
    ],
)
async def test_the_context_goes_to_the_parameter_that_is_annotated_so(
    annotation: Any, registry: Registry
) -> None:
    """Also if it is Annotated, optional, or has a default."""

    async def handler(payload=1, job=None):  # type: ignore[no-untyped-def]  # annotated below
        return [payload, job.attempt]

    handler.__annotations__["job"] = annotation
    registry.job("asks")(handler)
    async with running(registry) as rig:
        job = await rig.queue.submit("asks", 5)
        assert result_of(await rig.queue.wait(job.id, 10)) == [5, 1]


# What a handler may be.


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as most people write it."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def unmarked(function: Callable[[int], Awaitable[int]]) -> Callable[..., Any]:
    """A decorator that does not say what it wraps."""

    def wrapper(n: int) -> Any:
        return function(n)

    return wrapper


def renamed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator with a name of its own for what the function takes."""

    @functools.wraps(function)
    def wrapper(payload: Any) -> Any:
        return function(payload)

    return wrapper


class Runs:
    """An object that can be called, with methods of every kind."""

    async def __call__(self, n: int) -> int:
        """Run it."""
        return await double(n)

    async def method(self, n: int, job: JobContext) -> int:
        """Run it, too."""
        assert isinstance(job, JobContext)
        return await double(n)

    @classmethod
    async def of_class(cls, n: int) -> int:
        """Run it, too."""
        return await double(n)

    @staticmethod
    def static(n: int) -> int:
        """Run it in a thread."""
        return 2 * n

    partially = functools.partialmethod(method)


class RunsInThread:
    """An object that can be called, and is not async."""

    def __call__(self, n: int) -> int:
        """Run it."""
        return 2 * n


async def double(n: int) -> int:
    """What all of them do, with a checkpoint."""
    await trio.lowlevel.checkpoint()
    return 2 * n


async def times(factor: int, n: int) -> int:
    """A function to make partials of."""
    return await double(n) // 2 * factor


def times_in_thread(factor: int, n: int) -> int:
    """The same for a thread."""
    return factor * n


async def one_by_one(n: int) -> AsyncIterator[int]:
    """An async generator."""
    for _ in range(2):
        yield n


def collected(function: Callable[..., AsyncIterator[int]]) -> Callable[..., Any]:
    """A decorator that runs a generator to its end."""

    @functools.wraps(function)
    async def wrapper(n: int) -> int:
        return sum([each async for each in function(n)])

    return wrapper


HANDLERS: dict[str, Any] = {
    "wrapped": wrapped(double),
    "wrapped twice": wrapped(wrapped(double)),
    "wrapped plain": wrapped(Runs.static),
    "unmarked": unmarked(double),
    "partial": functools.partial(times, 2),
    "partial by name": functools.partial(times, factor=2),
    "partial of a partial": functools.partial(functools.partial(times), 2),
    "partial of a wrapper": functools.partial(wrapped(times), factor=2),
    "partial in a thread": functools.partial(times_in_thread, 2),
    "wrapper of a partial": wrapped(functools.partial(times, 2)),
    "wrapper of a partial by name": wrapped(functools.partial(times, factor=2)),
    "partials and wrappers": wrapped(
        functools.partial(wrapped(functools.partial(times)), factor=2)
    ),
    "cached partial": functools.cache(functools.partial(times_in_thread, factor=2)),
    "wrapper that awaits a generator": collected(one_by_one),
    "object": Runs(),
    "object in a thread": RunsInThread(),
    "partial of an object": functools.partial(Runs()),
    "method": Runs().method,
    "partial of a method": functools.partial(Runs().method),
    "partial method": Runs().partially,
    "wrapped method": wrapped(Runs().method),
    "class method": Runs.of_class,
    "static method": Runs.static,
    "static method in the class": staticmethod(double),
    "lambda": lambda n: 2 * n,
    "async lambda": lambda n: double(n),
    "cached": functools.lru_cache(RunsInThread().__call__),
}


@pytest.mark.parametrize("kind", HANDLERS)
async def test_a_handler_is_whatever_can_be_called(kind: str, registry: Registry) -> None:
    """The loop runs the coroutine that it gives, in whatever layers it is wrapped."""
    registry.job("runs", retry=Retry(max_retries=0))(HANDLERS[kind])
    async with running(registry) as rig:
        job = await rig.queue.submit("runs", 21)
        detail = await rig.queue.wait(job.id, 10)
        assert (detail.status, detail.error) == ("completed", None)
        assert result_of(detail) == 42
        if "lambda" not in kind and kind != "unmarked":
            with pytest.raises(InvalidPayload):
                await rig.queue.submit("runs", "text")


async def test_a_wrapper_may_have_run_its_function_already(registry: Registry) -> None:
    """On the loop it may return a coroutine or a result, and it can be set to run in a thread."""
    answers: dict[int, int] = {}

    @functools.wraps(double)
    def remembers(n: int) -> Any:
        return answers[n] if n in answers else double(n)

    @functools.wraps(double)
    def runs_it(n: int) -> int:
        return asyncio.run(of_asyncio(n))

    async def of_asyncio(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    registry.job("remembers")(remembers)
    registry.job("runs it", runs_in="thread")(runs_it)
    answers[1] = 2
    async with running(registry) as rig:
        for name, n in (("remembers", 1), ("remembers", 2), ("runs it", 3)):
            job = await rig.queue.submit(name, n)
            assert result_of(await rig.queue.wait(job.id, 10)) == 2 * n


async def yields() -> AsyncIterator[int]:
    """An async generator, which nobody would iterate."""
    yield 1


@contextmanager
def opens() -> Iterator[None]:
    """A context manager, which nobody would enter."""
    yield


def counts(n: int) -> Iterator[int]:
    """A generator."""
    yield from range(n)


async def test_a_wrapper_of_a_generator_may_run_it_to_the_end(registry: Registry) -> None:
    """Nobody can see that from outside, so `runs_in` has to say it."""

    @functools.wraps(counts)
    def summed(n: int) -> int:
        return sum(counts(n))

    with pytest.raises(TypeError, match=r"if its wrapper runs it to its end, write runs_in='th"):
        registry.job("summed")(summed)
    registry.job("summed", runs_in="thread")(summed)
    async with running(registry) as rig:
        job = await rig.queue.submit("summed", 4)
        assert result_of(await rig.queue.wait(job.id, 10)) == 6


class InClass:
    """A class whose method is registered before there is an object."""

    def handle(self, payload: int) -> None:
        """Needs an object."""


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (Order, "Order can't handle jobs: it is a class; register a function"),
        (None, "None can't handle jobs: it is not callable"),
        (SimpleNamespace(), r"namespace\(\) can't handle jobs: it is not callable"),
        (vars(Runs)["of_class"], "can't handle jobs: it is not callable"),
        (InClass.handle, "InClass.handle has no 'self' yet: register the method of an object"),
        (functools.partial(yields), "can't handle jobs"),
        (wrapped(yields), f"yields gives a generator, which nobody would run: .* \\({HERE}"),
        (functools.partial(wrapped(wrapped(yields))), "yields gives a generator"),
        (opens, "opens gives a generator"),
        (lambda *_, **__: None, "a decorator needs functools.wraps"),
        (renamed(double), rf"double\(n\) .* takes \(payload\): let that take .* \({HERE}:\d+\)$"),
        (functools.partial(renamed(double)), "made a function of it that takes"),
        (abs, "all by name"),
        (print, "can't handle jobs"),
        (functools.partial(times), "'n' is no resource that is registered yet"),
    ],
)
def test_what_can_t_be_a_handler_is_refused(handler: Any, problem: str, registry: Registry) -> None:
    """The error says why, and not what some library says of it."""
    with pytest.raises(TypeError, match=problem):
        registry.job("wrong")(handler)
    assert registry.names == []


def test_a_schedule_and_a_resource_are_named_after_the_function_behind_them(
    registry: Registry,
) -> None:
    """A function without a name of its own needs one in `name`."""

    async def refresh() -> None: ...

    async def pool(url: str) -> AsyncIterator[str]:
        yield url

    registry.every(30)(functools.partial(wrapped(refresh)))
    registry.resource(functools.partial(pool, url="x"))
    assert registry.names == ["refresh"]
    assert list(registry.resources) == ["pool"]
    with pytest.raises(TypeError, match=rf'no name to go by: write name="…" \({HERE}:\d+\)'):
        registry.every(30)(lambda: None)
    with pytest.raises(TypeError, match=r"Runs.__call__ has no name to go by"):
        registry.cron("@daily")(Runs())
    registry.cron("@daily", name="daily", payload=1)(Runs())
    with pytest.raises(TypeError, match=r"can't have parameters without defaults, .* gives it url"):
        registry.resource(pool)  # type: ignore[type-var]


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\x1b[31m", "a\u202eb", " a", "a\ud800"])
def test_a_name_can_be_read_and_sent(name: str, registry: Registry) -> None:
    """In a URL, in a line of the log, and on the dashboard."""
    with pytest.raises(ValueError, match="job type"):
        registry.job(name)
    registry.job("x" * 100)
    registry.job("Täglich um 7, für alle/immer")


@pytest.mark.parametrize("name", [None, 5, b"email"])
def test_a_name_is_a_string(name: Any, registry: Registry) -> None:
    """Anything else is refused."""
    with pytest.raises(TypeError, match="must be a str"):
        registry.job(name)


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"timeout": "5"}, TypeError),
        ({"timeout": True}, TypeError),
        ({"timeout": float("inf")}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"concurrency": 2.5}, TypeError),
        ({"concurrency": "2"}, TypeError),
        ({"concurrency": True}, TypeError),
        ({"concurrency": float("nan")}, TypeError),
        ({"retry": 3}, TypeError),
        ({"retry": Retry}, TypeError),
    ],
)
def test_an_option_of_the_wrong_type_is_refused_by_its_name(
    terms: dict[str, Any], error: type[Exception], registry: Registry
) -> None:
    """Otherwise the first job would find out."""
    with pytest.raises(error, match=f"^{next(iter(terms))} must be "):
        registry.job("wrong", **terms)


@pytest.mark.parametrize("wrong", [5, None, b"@daily"])
def test_an_argument_of_the_wrong_type_is_refused(wrong: Any, registry: Registry) -> None:
    """The error says what it must be."""
    with pytest.raises(TypeError, match=f"^the cron expression must be a str, not {wrong!r}"):
        registry.cron(wrong)
    with pytest.raises(TypeError, match=f"^tz must be a str, not {wrong!r}"):
        registry.cron("@daily", tz=wrong)
    with pytest.raises(TypeError, match=r"^seconds must be a number of seconds, not '5'"):
        registry.every("5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"^overlap must be True or False, not {wrong!r}"):
        registry.every(30, overlap=wrong)
    with pytest.raises(TypeError, match=f"^include takes a Registry, not {wrong!r}"):
        registry.include(wrong)
    with pytest.raises(TypeError, match=r"can't be a resource: it must be an async generator"):
        registry.resource(wrong)


def test_a_handler_stays_what_it_was(registry: Registry) -> None:
    """The decorated function can still be called, and its docstring describes the job type."""
    handler = wrapped(double)
    assert registry.job("runs")(handler) is handler
    assert inspect.getdoc(registry.lookup("runs").handler) == inspect.getdoc(double)
