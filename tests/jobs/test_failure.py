"""What is told of an error is bounded, and so is the work of telling it."""

from collections import deque
from collections.abc import Callable, Iterator
from subprocess import CalledProcessError
from typing import Any

import pytest

from job_service import Snooze
from job_service.failures.report import describe, format_traceback, report
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from tests.jobs.steps import MakeRig, running

MANY = 100_000


def raised(error: BaseException) -> BaseException:
    """The error, with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def endless_recursion() -> BaseException:
    """As beginners have it."""

    def again() -> None:
        again()

    try:
        again()
    except RecursionError as error:
        return error
    raise AssertionError


def long_chain() -> BaseException:
    """Each error was raised while another was handled."""
    error: BaseException | None = None
    for number in range(5_000):
        following = ValueError(number)
        following.__context__ = error
        error = raised(following)
    assert error is not None
    return error


def long_line() -> BaseException:
    """Raised in a line of code that nobody has written by hand."""
    code = "raise ValueError(" + "1," * MANY + ")"
    return raised(SyntaxError("bad", ("generated", 1, 1, code)))


def noted() -> BaseException:
    """With a note as long as a book."""
    error = ValueError("noted")
    error.add_note("x\n" * MANY)
    return raised(error)


TOO_MUCH: list[Callable[[], BaseException]] = [
    endless_recursion,
    long_chain,
    long_line,
    noted,
    lambda: raised(ValueError("a b\n" * MANY)),
    lambda: raised(KeyError("é\n" * MANY)),
    lambda: raised(BaseExceptionGroup("g", [raised(ValueError(n)) for n in range(10_000)])),
    lambda: raised(BaseExceptionGroup("g" * MANY, [raised(ValueError("x" * MANY))] * 100)),
]


@pytest.mark.parametrize("make", TOO_MUCH)
def test_of_too_much_the_outline_is_told(make: Callable[[], BaseException]) -> None:
    """One line of it, its type first, and a traceback with both ends."""
    error = make()
    line, detail = describe(error), format_traceback(error)
    assert line.startswith(type(error).__name__)
    assert "\n" not in line
    assert len(line) <= 1_000
    assert len(detail) <= 16_000
    assert detail.rstrip().endswith(line)


def test_what_is_cut_says_so() -> None:
    """With a mark at the end."""
    assert describe(ValueError("x" * 5_000)).endswith("xx…")
    assert not describe(ValueError("x" * 900)).endswith("…")
    assert "more]" in format_traceback(endless_recursion())


def test_no_more_of_an_error_is_read_than_is_told() -> None:
    """A group of a hundred thousand is not gone through to its end."""
    told: list[int] = []

    class Counted(ValueError):
        def __str__(self) -> str:
            told.append(1)
            return "counted"

    group = ExceptionGroup("g", [Counted()] * MANY)
    describe(group)
    format_traceback(group)
    assert len(told) < 1_000


class Counted:
    """A value that counts how often it is printed."""

    printed = 0

    def __repr__(self) -> str:
        type(self).printed += 1
        return "counted"


class Rows(list[Any]):
    """As a library has it."""


class Report:
    """A value that prints all that it has."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return f"Report({self.rows})"


def nested(rows: list[Any]) -> list[Any]:
    """Few in each list, and many in all."""
    return [[rows[:100]] * 100] * 100


LARGE: dict[str, Callable[[list[Any]], BaseException]] = {
    "list": ValueError,
    "key": lambda rows: KeyError(tuple(rows)),
    "set": lambda rows: ValueError({*map(id, rows)}, rows),
    "dict": lambda rows: ValueError(dict(enumerate(rows))),
    "deque": lambda rows: ValueError(deque(rows)),
    "subclass": lambda rows: ValueError(Rows(rows)),
    "nested": lambda rows: ValueError(nested(rows)),
    "many": lambda rows: ValueError(*rows),
    "object": lambda rows: ValueError(Report(rows)),
    "error": lambda rows: ValueError(TypeError(rows)),
    "system": lambda rows: OSError(2, "no such thing", rows),
    "program": lambda rows: CalledProcessError(1, rows),
    "group": lambda rows: ExceptionGroup("g", [ValueError(rows), KeyError(rows)]),
    "notes": lambda rows: noted_with([rows]),
    "chain": lambda rows: after(ValueError(rows), ValueError("then")),
    "line": lambda rows: SyntaxError("bad", ("f", 1, 1, rows)),  # type: ignore[arg-type]  # odd
}


def noted_with(notes: list[Any]) -> BaseException:
    """Notes are printed, too."""
    error = ValueError("noted")
    error.__notes__ = notes
    return error


def after(first: BaseException, error: BaseException) -> BaseException:
    """One that another has led to."""
    error.__context__ = first
    return error


@pytest.mark.slow
@pytest.mark.parametrize("which", LARGE)
def test_large_values_are_not_printed(which: str) -> None:
    """Wherever in an error they are: the first few of them at the most."""
    error = raised(LARGE[which]([Counted() for _ in range(MANY)]))
    Counted.printed = 0
    line, detail = report(error)
    assert type(error).__name__ in line
    assert detail.rstrip().endswith(line)
    assert Counted.printed <= 50


def test_what_is_not_printed_is_named() -> None:
    """With its size, if it has one."""
    assert describe(ValueError([1] * MANY)) == "ValueError: <list of 100000>"
    assert describe(ValueError(Rows([1] * MANY))) == "ValueError: <Rows of 100000>"
    assert describe(ValueError(Report([1] * MANY), 5)) == "ValueError: (<Report>, 5)"
    assert describe(CalledProcessError(1, "x" * MANY)).endswith(f"(1, '{'x' * 100}'…)")
    assert describe(ValueError([1] * 10)) == f"ValueError: {[1] * 10}"


def test_an_error_is_asked_once_for_both_texts() -> None:
    """Its answer may take long; Python asks once more if it is short."""
    asked: list[int] = []

    class Slow(Exception):
        def __str__(self) -> str:
            asked.append(1)
            return "x" * MANY

    report(raised(Slow()))
    assert len(asked) == 1


def test_ordinary_errors_are_told_as_python_does() -> None:
    """With their causes, notes and places."""
    error = OSError(2, "no such thing")
    error.add_note("looked twice")
    error.__cause__ = raised(KeyError("key"))
    assert describe(error) == "FileNotFoundError: [Errno 2] no such thing looked twice"
    detail = format_traceback(error)
    assert "KeyError: 'key'" in detail
    assert "direct cause" in detail
    assert describe(ValueError("a", 1)) == "ValueError: ('a', 1)"
    assert describe(ValueError(5)) == "ValueError: 5"
    assert describe(ValueError()) == "ValueError"


@pytest.fixture
def counter() -> Iterator[int]:
    """Numbers, one after the other."""
    return iter(range(1, 10_000))


async def test_only_the_first_and_the_last_failures_are_kept_in_full(
    registry: Registry, make_rig: MakeRig, counter: Iterator[int]
) -> None:
    """A thousand retries make no job weigh megabytes; each still says what it was."""

    @registry.job("flaky", retry=Retry(base_seconds=0))
    async def flaky() -> None:
        raise ValueError(f"try {next(counter)}: " + "x" * 900)

    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("flaky", max_retries=19)
    attempts = (await rig.queue.get(job.id)).attempts
    has_traceback = [attempt.traceback is not None for attempt in attempts]
    assert has_traceback == [True] * 3 + [False] * 14 + [True] * 3
    errors = [str(attempt.error) for attempt in attempts]
    assert [error.split()[2] for error in errors] == [f"{n}:" for n in range(1, 21)]
    assert {len(error) for error in errors[3:-3]} == {100}
    assert min(map(len, errors[:3] + errors[-3:])) > 900


async def test_snoozes_between_the_failures_keep_no_more_of_them(
    registry: Registry, counter: Iterator[int]
) -> None:
    """A job that fails and waits in turn keeps the first and the last failures in full, too."""

    @registry.job("flaky", retry=Retry(base_seconds=0))
    async def flaky() -> None:
        if next(counter) % 2:
            raise Snooze(0)
        raise ValueError("x" * 900)

    async with running(registry, workers=1) as rig:
        job = await rig.queue.submit("flaky", max_retries=200)
    attempts = (await rig.queue.get(job.id)).attempts
    failed = [attempt for attempt in attempts if attempt.outcome == "failed"]
    has_traceback = [attempt.traceback is not None for attempt in failed]
    assert has_traceback == [True] * 3 + [False] * 195 + [True] * 3
    assert {len(str(attempt.error)) for attempt in failed[3:-3]} == {100}
