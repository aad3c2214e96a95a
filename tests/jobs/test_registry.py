"""What a registry accepts as a job type, and how a job type checks payloads."""

import math
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import msgspec
import pytest

from job_service import InvalidPayload, JobContext, Registry, Retry, UnknownJobType
from job_service.jobs.registration.whole_numbers import MOST_BYTES

if TYPE_CHECKING:
    from job_service.jobs.registration.placement import RunsIn


class EmailStruct(msgspec.Struct):
    """A payload that is a msgspec struct."""

    to: str
    copies: int = 0


class Parcel(msgspec.Struct):
    """Another struct."""

    weight: int


@dataclass
class EmailDataclass:
    """A payload that is a dataclass."""

    to: str
    copies: int = 0


class EmailDict(TypedDict):
    """A payload that stays a dict."""

    to: str
    copies: int


async def works(payload: Any, job: JobContext) -> None:
    """A handler like any other."""


def test_a_registered_function_is_found_under_its_name_and_stays_itself(
    registry: Registry,
) -> None:
    """The decorator returns the function, so it can be called and tested as it is."""
    retry = Retry(max_retries=9)
    assert registry.job("work", retry=retry, timeout=1.5)(works) is works

    job_type = registry.lookup("work")
    assert (job_type.name, job_type.retry, job_type.timeout) == ("work", retry, 1.5)
    assert job_type.handler is works
    assert job_type.runs_in == "loop"


def test_without_options_a_job_has_three_retries_and_no_timeout(registry: Registry) -> None:
    """These are the defaults."""
    registry.job("work")(works)
    assert registry.lookup("work").retry == Retry(max_retries=3)
    assert registry.lookup("work").timeout is None


def test_names_are_listed_in_order(registry: Registry) -> None:
    """Sorted, whatever the order of their registration."""
    for name in ("b", "c", "a"):
        registry.job(name)(works)
    assert registry.names == ["a", "b", "c"]


def test_a_name_can_be_taken_only_once(registry: Registry) -> None:
    """The second registration is refused, and the first one stays."""
    registry.job("work", timeout=1)(works)
    with pytest.raises(ValueError, match="there is already a job type 'work'"):
        registry.job("work", timeout=2)(works)
    assert registry.lookup("work").timeout == 1


def test_a_job_type_needs_a_name(registry: Registry) -> None:
    """The empty string is not a name."""
    with pytest.raises(ValueError, match="a job type needs a name"):
        registry.job("")
    assert registry.names == []


@pytest.mark.parametrize("timeout", [0, -1, -0.5, math.nan])
def test_a_timeout_must_leave_some_time(timeout: float, registry: Registry) -> None:
    """Zero, less, and nan are refused."""
    with pytest.raises(ValueError, match="timeout must be above 0"):
        registry.job("work", timeout=timeout)


async def two_contexts(first: JobContext, second: JobContext) -> None:
    """There is only one."""


async def any_number(*payloads: int) -> None:
    """A job has one payload."""


async def any_keywords(**payload: int) -> None:
    """A payload is one value."""


async def by_position(payload: int, /, job: JobContext) -> None:
    """Arguments are given by name."""


@pytest.mark.parametrize("handler", [two_contexts, any_number, any_keywords, by_position])
def test_a_signature_that_cant_handle_jobs_is_refused(
    handler: Callable[..., Any], registry: Registry
) -> None:
    """The error names the handler and says what a handler takes."""
    with pytest.raises(TypeError, match=rf"{handler.__name__}\(.*\) can't handle jobs: "):
        registry.job("work")(handler)
    assert registry.names == []


def test_a_registry_can_take_in_another(registry: Registry) -> None:
    """An application can keep its job types in several modules."""
    other = Registry()
    other.job("theirs", timeout=3)(works)
    registry.job("ours")(works)
    registry.include(other)

    assert registry.names == ["ours", "theirs"]
    assert registry.lookup("theirs") == other.lookup("theirs")
    assert other.names == ["theirs"]


def test_taking_in_a_name_twice_is_refused(registry: Registry) -> None:
    """Neither handler silently takes the place of the other."""
    other = Registry()
    other.job("work", timeout=3)(works)
    registry.job("work", timeout=1)(works)
    with pytest.raises(ValueError, match="there is already a job type 'work'"):
        registry.include(other)
    assert registry.lookup("work").timeout == 1


def test_an_unknown_job_type_names_those_that_are_known(registry: Registry) -> None:
    """The error helps whoever has mistyped a name."""
    with pytest.raises(UnknownJobType, match=r"no job type 'wrok'; known are none"):
        registry.lookup("wrok")
    for name in ("work", "play"):
        registry.job(name)(works)
    with pytest.raises(UnknownJobType, match=r"no job type 'wrok'; known are play, work"):
        registry.lookup("wrok")


async def two_payloads(first: int, database: int) -> None:
    """Perhaps the second parameter is meant for a resource."""


async def unknown_annotation(job: JobContext, email: "NoSuchType") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Like a handler whose author forgot an import."""


async def unknown_result() -> "NoSuchType":  # type: ignore[name-defined]  # noqa: F821
    """Only type checkers read this annotation, and still it is a mistake."""


async def untagged(email: EmailStruct | Parcel) -> None:
    """A payload could be either of them."""


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (two_payloads, "(first, database): 'database' is no resource that is registered yet"),
        (unknown_annotation, "(job, email): 'email' has an annotation that can't be read: Name"),
        (unknown_result, "(): 'return' has an annotation that can't be read: NameError: name"),
        (untagged, "(email): 'email' can't be a payload: If a type union contains multiple"),
    ],
)
def test_a_parameter_that_cant_be_given_is_named(
    handler: Callable[..., Any], problem: str, registry: Registry
) -> None:
    """The error names the handler and the parameter, and says what is wrong."""
    with pytest.raises(TypeError, match=re.escape(handler.__name__ + problem)):
        registry.job("work")(handler)
    assert registry.names == []


@pytest.mark.parametrize("annotation", [EmailStruct, EmailDataclass, EmailDict])
def test_a_payload_is_checked_against_its_annotation(annotation: type, registry: Registry) -> None:
    """For any kind of type, the error says what is wrong and at which place."""

    async def email(email: Any) -> None: ...

    email.__annotations__["email"] = annotation
    registry.job("email")(email)
    check = registry.lookup("email").check_payload

    check(b'{"to": "ann", "copies": 2}')
    with pytest.raises(InvalidPayload, match=r"Expected `str`, got `int` - at `\$.to`"):
        check(b'{"to": 5, "copies": 2}')
    with pytest.raises(InvalidPayload, match="missing required field `to`"):
        check(b'{"copies": 2}')
    with pytest.raises(InvalidPayload, match="Expected `object`, got `null`"):
        check(b"null")


@pytest.mark.parametrize("payload", ["null", "[]", '{"a": [1, 2.5, "x", true]}', '"text"', "7"])
def test_any_takes_any_json(payload: str, registry: Registry) -> None:
    """A handler that says Any, or nothing, about its payload decides by itself."""

    async def unannotated(payload) -> None: ...  # type: ignore[no-untyped-def]  # as users may

    registry.job("any")(works)
    registry.job("unannotated")(unannotated)
    for name in registry.names:
        registry.lookup(name).check_payload(payload.encode())


@pytest.mark.parametrize("payload", ["0", "{}", "[]", '"text"', "false"])
def test_a_handler_without_a_payload_is_given_none(payload: str, registry: Registry) -> None:
    """A payload that the handler would ignore is refused."""

    async def nothing(job: JobContext) -> None: ...

    registry.job("nothing")(nothing)
    registry.lookup("nothing").check_payload(b"null")
    with pytest.raises(InvalidPayload, match="Expected `null`"):
        registry.lookup("nothing").check_payload(payload.encode())


class Order(msgspec.Struct):
    """Whole numbers wherever a payload may have them, and others."""

    copies: int
    pages: list[int] = []
    either: int | str = 0
    choice: Literal[1, 2] = 1
    price: Decimal = Decimal(0)
    share: float = 0.0
    note: str = ""


@pytest.mark.parametrize("number", ["3.0", "3.000", "3e0", "30.0e-1", "0.3E+1", "3"])
async def test_a_whole_number_is_one_however_it_is_written(number: str, registry: Registry) -> None:
    """As JSON Schema has it, and as languages write it that know no other numbers."""

    async def order(order: Order) -> None: ...

    registry.job("order")(order)
    text = (
        f'{{"copies": {number}, "pages": [1, {number}], "either": {number}, "choice": 1.0, '
        f'"price": 1.50, "share": 0.5, "note": "{number} \\"{number}\\" 1.0"}}'
    ).encode()
    job_type = registry.lookup("order")
    job_type.check_payload(text)
    no_context: Any = None
    arguments = job_type.arguments(text, no_context, {})
    note = f'{number} "{number}" 1.0'
    assert arguments["order"] == Order(3, [1, 3], 3, 1, Decimal("1.50"), 0.5, note)


@pytest.mark.parametrize(
    "number", ["3.5", "1e-1", "1e16", '"3"', "true", "null", "3.0.0", "03.0", "3.", "3.0 4"]
)
def test_what_is_no_whole_number_is_none(number: str, registry: Registry) -> None:
    """Nothing is rounded, nothing guessed, and what is no JSON becomes none."""

    async def order(order: Order) -> None: ...

    registry.job("order")(order)
    for text in (f'{{"copies": {number}}}', f'{{"copies": 1.0, "pages": [1.0, {number}]}}'):
        with pytest.raises(InvalidPayload):
            registry.lookup("order").check_payload(text.encode())


def test_no_payload_takes_long_to_be_refused(registry: Registry) -> None:
    """A large one is not searched for whole numbers."""

    async def total(numbers: list[int]) -> None: ...

    registry.job("total")(total)
    text = msgspec.json.encode([1.0] * (MOST_BYTES // 4))
    registry.lookup("total").check_payload(text[: MOST_BYTES - 4].rpartition(b",")[0] + b"]")
    with pytest.raises(InvalidPayload, match="Expected `int`, got `float`"):
        registry.lookup("total").check_payload(text + b" ")


NOT_JSON = {
    "empty": b"",
    "cut_off": b'{"to": "ann"',
    "two_values": b'{"to": "ann"} {}',
    "not_utf8": b'{"to": "\xff"}',
    "not_utf8_in_an_unknown_field": b'{"to": "ann", "other": "\xff"}',
    "a_lone_surrogate": b'{"to": "\\ud800"}',
    "too_deep": b'{"to": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too_deep_in_an_unknown_field": b'{"to": "ann", "x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
}


@pytest.mark.parametrize("handler_takes", ["any", "struct", "raw"])
@pytest.mark.parametrize("text", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_no_json_is_no_payload(text: bytes, handler_takes: str, registry: Registry) -> None:
    """Nor is JSON that readers of the job could not decode."""

    async def struct(email: EmailStruct) -> None: ...

    async def raw(email: msgspec.Raw) -> None: ...

    registry.job("any")(works)
    registry.job("struct")(struct)
    registry.job("raw")(raw)
    with pytest.raises(InvalidPayload):
        registry.lookup(handler_takes).check_payload(text)


def test_of_two_registries_that_conflict_nothing_is_taken() -> None:
    """Including is all or nothing."""
    ours, theirs = Registry(), Registry()

    @ours.job("shared")
    @theirs.job("another")
    @theirs.job("shared")
    async def works() -> None: ...

    with pytest.raises(ValueError, match="already a job type 'shared'"):
        ours.include(theirs)
    assert ours.names == ["shared"]


def test_a_generator_can_t_handle_jobs() -> None:
    """It would be called and never run."""
    registry = Registry()

    async def yields() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="can't handle jobs"):
        registry.job("yields")(yields)


@pytest.mark.parametrize(
    ("decorator", "call"),
    [("job", 'job("name")'), ("cron", 'cron("0 3 * * *")'), ("every", "every(seconds=30)")],
)
def test_a_decorator_without_its_parentheses_is_refused(
    decorator: str, call: str, registry: Registry
) -> None:
    """Otherwise it would register nothing, without an error."""
    with pytest.raises(TypeError, match=re.escape(f"write @registry.{call}")):
        getattr(registry, decorator)(works)
    assert registry.names == []


def test_a_function_runs_where_its_kind_does(registry: Registry) -> None:
    """Unless `runs_in` says otherwise."""

    def plain() -> None: ...

    registry.job("loop")(works)
    registry.job("thread")(plain)
    registry.job("process", runs_in="process")(plain_function)
    assert [registry.lookup(name).runs_in for name in ("loop", "thread", "process")] == [
        *("loop", "thread", "process")
    ]
    places: tuple[RunsIn, ...] = ("thread", "process")
    for runs_in in places:
        with pytest.raises(TypeError, match="works is an async def: it runs in 'loop'"):
            registry.job("wrong", runs_in=runs_in)(works)
    with pytest.raises(TypeError, match="is a def: it runs in 'thread' or 'process'"):
        registry.job("wrong", runs_in="loop")(plain)
    with pytest.raises(ValueError, match="runs_in must be"):
        registry.job("wrong", runs_in="moon")(plain)  # type: ignore[arg-type]


def plain_function() -> None:
    """A process can import it."""


def test_a_limit_lets_one_job_run_at_least(registry: Registry) -> None:
    """Without one there is no limit."""
    registry.job("limited", concurrency=1)(works)
    registry.job("unlimited")(works)
    assert registry.lookup("limited").limits.concurrency == 1
    assert registry.lookup("unlimited").limits.concurrency is None
    with pytest.raises(ValueError, match="concurrency must be 1 or more, not 0"):
        registry.job("none", concurrency=0)
