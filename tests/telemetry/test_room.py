"""Lines have a bound: what is too large or too deep is told in short, and nothing walks through it.

On Python 3.14 nothing else ends such a walk: no limit of recursion holds for what is written in C.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from job_service.failures.report import describe
from job_service.failures.size import MAX_CHARS, fits, shown
from job_service.nesting import MAX_DEPTH
from job_service.telemetry.libraries import message_of
from job_service.telemetry.log import Log, LogFormat
from job_service.telemetry.text import MOST_CHARS, MOST_VALUES
from tests.telemetry.test_log import Written, deep_list

DEEP = 100_000
LARGE = list(range(3_000_000))


class Box:
    """An object that prints what it holds."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __repr__(self) -> str:
        return f"Box({self.content!r})"


class OtherBox(Box):
    """Another one that does."""


class Fault(Exception):
    """An error with an attribute."""

    def __init__(self, content: Any) -> None:
        super().__init__("no luck")
        self.content = content

    def __repr__(self) -> str:
        return f"Fault({self.content!r})"


@dataclass(slots=True)
class Slotted:
    """A dataclass without a `__dict__`."""

    content: Any


class Record(msgspec.Struct):
    """A Struct."""

    content: Any


def in_each_other(kind: Callable[[Any], Any], times: int = DEEP) -> Any:
    """So many of them."""
    value = kind(None)
    for _ in range(times - 1):
        value = kind(value)
    return value


def doubled(times: int = 60) -> Any:
    """A list that is small in memory, and has more values than there are atoms in a grain."""
    value: Any = []
    for _ in range(times):
        value = [value, value]
    return value


DEEP_ONES: dict[str, Callable[[], Any]] = {
    "lists": deep_list,
    "dicts": lambda: in_each_other(lambda inside: {"a": inside}),
    "tuples": lambda: in_each_other(lambda inside: (inside,)),
    "lists with what JSON can't carry": lambda: in_each_other(lambda inside: [inside, 1j]),
    "beside a key that JSON can't carry": lambda: {(1, 2): deep_list()},
    "objects": lambda: in_each_other(Box),
    "in an object": lambda: Box(deep_list()),
    "in an object in another one": lambda: OtherBox(Box(deep_list())),
    "in a dataclass with slots": lambda: Slotted(deep_list()),
    "in a Struct": lambda: Record(deep_list()),
    "Structs": lambda: in_each_other(Record),
    "in a view": lambda: {1: deep_list()}.values(),
    "in an error": lambda: ValueError(deep_list()),
    "in an attribute of an error": lambda: Fault(deep_list()),
}
LARGE_ONES: dict[str, Callable[[], Any]] = {
    "values": lambda: LARGE,
    "objects": lambda: [object()] * 1_000_000,
    "text": lambda: "x" * 10_000_000,
    "bytes": lambda: b"\xff" * 10_000_000,
    "digits": lambda: Decimal("1" * 1_000_000),
    "a path": lambda: Path("x" * 1_000_000),
    "the same twice, and so on": doubled,
}


@pytest.mark.parametrize("make", DEEP_ONES.values(), ids=DEEP_ONES)
def test_what_is_deep_is_not_walked_through(make: Callable[[], Any]) -> None:
    """Whatever it is made of: it is known before, by a look at a few hundred levels."""
    value = make()
    assert not fits((value,), MOST_VALUES, MOST_CHARS)
    assert not fits((value,))


@pytest.mark.parametrize("make", LARGE_ONES.values(), ids=LARGE_ONES)
def test_what_is_large_is_not_walked_through(make: Callable[[], Any]) -> None:
    """It is known before, by a look at as much as there is room for."""
    assert not fits((make(),), MOST_VALUES, MOST_CHARS)


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("make", (DEEP_ONES | LARGE_ONES).values(), ids=DEEP_ONES | LARGE_ONES)
def test_a_line_tells_in_short_what_has_no_room(
    make: Callable[[], Any], log_format: LogFormat
) -> None:
    """As a value, an argument, an event, or a level; what is beside it stays as it is."""
    value = make()
    written = Written(log_format=log_format)
    written.logger.info("odd", size=3, value=value)
    written.logger.info("odd %s", value)
    written.logger.info(value)
    written.logger.log(value, "odd")
    assert all(len(line) <= 2 * MOST_CHARS for line in written.raw)
    first, second, third, fourth = (line.decode() for line in written.raw)
    assert "size" in first
    assert "odd" in second
    assert third
    assert "odd" in fourth


def test_it_is_said_what_was_too_large() -> None:
    """Its type and its length, the beginning of a text, and what an error says."""
    written = Written()
    written.logger.info("read", rows=LARGE, table={"a": LARGE}, text="x" * 500_000)
    line = written.only
    assert line["rows"] == "<list of 3000000>"
    assert line["table"] == "<dict of 1>"
    assert line["text"].startswith("xxx")
    assert line["text"].endswith("…")
    written.raw.clear()
    written.logger.info("failed", error=Fault(LARGE))
    assert written.only["error"].endswith("Fault: no luck")


def test_what_has_room_is_written_whole() -> None:
    """Thousands of values, and long texts, are what some jobs are about."""
    written = Written()
    rows = [{"id": number, "name": "x" * 10} for number in range(1_000)]
    written.logger.info("read", rows=rows, text="x" * 50_000)
    assert written.only["rows"] == rows
    assert written.only["text"] == "x" * 50_000


@pytest.mark.parametrize(
    "value",
    [[1, 2, 3], ("a", "b"), {"a": 1}, Path("/a/b"), UUID(int=1), Decimal(1), timedelta(3)],
    ids=repr,
)
def test_a_usual_value_costs_little_more_than_a_text(value: object) -> None:
    """What it may hold is known beforehand, and not found out with each line."""

    def calls_for(value: object) -> int:
        calls = 0

        def count(_: object, event: str, __: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        written = Written()
        written.logger.info("read", value=value)
        sys.setprofile(count)
        written.logger.info("read", value=value)
        sys.setprofile(None)
        return calls

    assert calls_for(value) < 3 * calls_for("a")


def test_an_object_may_know_the_whole_program() -> None:
    """What it refers to is not printed with it: a model knows its session, and that knows all."""

    class Model:
        def __init__(self) -> None:
            self.session = Box(self)
            self.session.content = [Box([object()] * 100) for _ in range(5_000)]

        def __repr__(self) -> str:
            return "<Model 5>"

    written = Written()
    written.logger.info("saved", model=Model(), models=[Model(), object()])
    line = written.only
    assert line["model"] == "<Model 5>"
    assert line["models"][0] == "<Model 5>"


def test_a_line_has_so_many_fields_at_most() -> None:
    """The first ones."""
    written = Written()
    written.logger.info("wide", **{f"f{number}": number for number in range(200_000)})
    assert list(written.only)[:5] == ["timestamp", "level", "event", "f0", "f1"]
    assert len(written.only) <= 1_010


def test_500_levels_are_told_and_one_more_is_not() -> None:
    """At the same depth on every Python."""
    assert fits((deep_list(MAX_DEPTH),))
    assert not fits((deep_list(MAX_DEPTH + 2),))


@pytest.mark.parametrize("make", (DEEP_ONES | LARGE_ONES).values(), ids=DEEP_ONES | LARGE_ONES)
def test_messages_of_libraries_and_of_errors_are_bounded_too(make: Callable[[], Any]) -> None:
    """Whatever is in the arguments of a record, or in those of an error."""
    value = make()
    record = logging.LogRecord("lib", logging.ERROR, "x.py", 1, "odd %s", (value,), None)
    assert message_of(record) == "odd %s"
    assert describe(ValueError(value)).startswith("ValueError: ")
    assert len(shown(value)) <= MAX_CHARS


def test_a_class_that_lies_is_not_asked() -> None:
    """Its metaclass may neither hash nor compare."""

    class Odd(type):
        def __eq__(cls, other: object) -> bool:
            raise RuntimeError("no")

        __hash__ = None  # type: ignore[assignment]

    class Thing(metaclass=Odd):
        pass

    raw: list[bytes] = []
    Log(raw.append).logger.info("odd", value=Thing(), many=[Thing()])
    assert b"Thing" in raw[0]
