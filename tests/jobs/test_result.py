"""What a handler returns becomes the JSON of its job's detail, or fails the job and says why."""

import json
import math
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from job_service.jobs.running.result import encode_result
from job_service.json_text.nesting import MAX_DEPTH, is_too_deep


class Text(str):
    """A text of a class of its own, as of a library."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not what it is"


class Count(int):
    """A number of a class of its own."""


class Amount(float):
    """Another, as numpy.float64 is one."""


class Level(IntEnum):
    """A number with a name."""

    HIGH = 3


class Colour(Enum):
    """A text with a name."""

    RED = "red"


@dataclass
class Report:
    """What may hold any of them."""

    title: Any


Point = namedtuple("Point", "x y")  # as older code has them


@pytest.mark.parametrize(
    "result",
    [
        *(Markup("<b>"), Text("x"), Count(3), Amount(1.5), Level.HIGH, True, None, 2**70, -(2**70)),
        *([Text("x")], {"a": {"b": Amount(2)}}, {Text("k"): Count(1)}, (1, Text("x")), Point(1, 2)),
        *({Count(1): 2}, {Amount(1.5): 2}, {None: 1}, {True: {False: 1}}, {1: 2}, {1.5: 2}),
        *(defaultdict(list, a=[1]), OrderedDict(a=1), Counter("abc"), {}, [], ""),
    ],
)
def test_what_the_standard_librarys_json_writes_is_written_alike(result: Any) -> None:
    """A job that has done its work does not fail for the class of a text or a number."""
    assert json.loads(encode_result(result)) == json.loads(json.dumps(result))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Report(Text("Hi")), '{"title":"Hi"}'),
        (Report({None: Amount(2)}), '{"title":{"null":2.0}}'),
        (datetime(2026, 1, 31, tzinfo=UTC), '"2026-01-31T00:00:00Z"'),
        ({Colour.RED: [b"\xff"]}, '{"red":["/w=="]}'),
        (frozenset([1]), "[1]"),
        (msgspec.Raw(b'{"a": 1}'), '{"a": 1}'),
        ([math.nan, math.inf, Amount("nan"), -math.inf], "[null,null,null,null]"),
        ("half \ud83d a pair", '"half \\\\ud83d a pair"'),
        ({None: ["\ud800"], "\ud800": ("\ud800",)}, None),
        (Report({"name": "\udcff"}), '{"title":{"name":"\\\\udcff"}}'),
        ([Markup("\udcff"), {1}, "\udcff"], '["\\\\udcff",[1],"\\\\udcff"]'),
    ],
)
def test_what_is_no_json_as_it_is_becomes_what_is_nearest(result: Any, text: str | None) -> None:
    """Dates, bytes and sets; what is no number is null, and half a character is spelled out."""
    written = encode_result(result)
    assert text is None or written.decode() == text
    msgspec.json.decode(written)


class Opaque:
    """Has attributes, but nobody said which of them are its contents."""

    def __init__(self) -> None:
        self.content = 1


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (Opaque(), r"JSON can't carry .*\.Opaque"),
        ([{"deep": {"inside": 1j}}], r"JSON can't carry complex"),
        (iter(()), r"JSON can't carry tuple_iterator"),
        ({(1, 2): 3}, r"JSON can't carry tuple"),
        (ValueError("returned, not raised"), r"JSON can't carry ValueError"),
        (msgspec.Raw(b"nonsense"), "malformed"),
        ({"a": msgspec.Raw(b'"\xff"')}, "invalid start byte"),
        (msgspec.Raw(b"1, 2"), "trailing characters"),
    ],
)
def test_what_json_can_not_carry_is_told(result: Any, why: str) -> None:
    """By its name, or by what is wrong with the text that it claims to be."""
    with pytest.raises(Exception, match=why):
        encode_result(result)


def nested(depth: int, kind: Callable[[Any], Any]) -> Any:
    """So many of them in each other."""
    result: Any = None
    for _ in range(depth):
        result = kind(result)
    return result


@pytest.mark.parametrize("kind", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_what_is_nested_too_deep_for_its_readers_is_refused(kind: Callable[[Any], Any]) -> None:
    """At the same depth on every Python."""
    assert encode_result(nested(MAX_DEPTH, kind))
    with pytest.raises(ValueError, match="nested more than 500 deep"):
        encode_result(nested(MAX_DEPTH + 1, kind))


def test_what_contains_itself_ends() -> None:
    """With an error."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Exception, match="it is nested more than 500 deep"):
        encode_result(loop)


def depth_of(value: Any) -> int:
    """How deep a value is nested, found by walking it."""
    parts = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return 0 if parts is None else 1 + max(map(depth_of, parts), default=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('[{}]"\\a', max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[{}]"\\a', max_size=4), inner),
    max_leaves=50,
)


@pytest.mark.slow
@given(JSON, st.integers(0, 4))
def test_brackets_in_texts_are_not_taken_for_nesting(value: Any, over: int) -> None:
    """Only lists and objects count, whatever stands in texts and keys."""
    for _ in range(MAX_DEPTH - depth_of(value) + over):
        value = [value]
    wide = [value, *([[]] * MAX_DEPTH)]
    assert is_too_deep(msgspec.json.encode(value)) == (over > 0)
    assert is_too_deep(msgspec.json.encode(wide)) == (over > -1)
