"""JSON that is nested too deeply is found, whatever else is in it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_service.json_text.nesting import MAX_DEPTH, is_too_deep

TEXTS = st.text(alphabet='[]{}"\\,: a')
VALUES = st.recursive(
    st.none() | TEXTS,
    lambda values: st.lists(values) | st.dictionaries(TEXTS, values),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    """How deep it is nested, counted by walking through it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@pytest.mark.slow
@given(VALUES)
def test_any_value_is_as_deep_as_it_is(value: object) -> None:
    """Brackets and quotes in strings don't count."""
    text, depth = msgspec.json.encode(value), depth_of(value)
    assert not is_too_deep(text, depth)
    assert depth == 0 or is_too_deep(text, depth - 1)


@pytest.mark.parametrize("around", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"]": [', b"]}]")])
def test_the_limit_is_the_one_that_the_readme_gives(around: tuple[bytes, bytes]) -> None:
    """500 levels are allowed, and one more is not."""
    opening, closing = around
    each = opening.count(b"[") + opening.count(b"{")
    text = opening * (MAX_DEPTH // each + 1) + b"1" + closing * (MAX_DEPTH // each + 1)
    assert MAX_DEPTH == 500
    assert is_too_deep(text)
    assert not is_too_deep(text[len(opening) : -len(closing)])


@pytest.mark.parametrize(
    "text",
    [b"[" * 501, b'{"a":' * 501, b'["a", ' * 501, b"[" * 501 + b"]" * 501 + b"no JSON"],
    ids=["arrays", "objects", "both", "nonsense behind it"],
)
def test_invalid_json_is_too_deep_if_a_reader_would_get_too_deep(text: bytes) -> None:
    """So it can be checked before anything reads it."""
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text)
    assert is_too_deep(text)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """The depth counts, not their number."""
    assert not is_too_deep(msgspec.json.encode([[{}] * 10] * 1_000))
