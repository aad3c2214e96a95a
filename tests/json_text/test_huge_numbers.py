"""JSON with too many numbers that take long to read is found, whatever else is in it."""

import msgspec
import pytest

from job_service.json_text.huge_numbers import MAX_HUGE, has_too_many_huge


def array_of(text: str, times: int) -> bytes:
    """So many of these, as JSON."""
    return f"[{','.join([text] * times)}]".encode()


@pytest.mark.parametrize(
    "number", ["1e308", "9E307", "1e+0308", "-1.79e308", "0.001e310", "10000e295", "1e200"]
)
def test_a_thousand_huge_numbers_are_enough(number: str) -> None:
    """However they are written."""
    assert MAX_HUGE == 1_000
    assert not has_too_many_huge(array_of(number, 1_000))
    assert has_too_many_huge(array_of(number, 1_001))
    assert msgspec.json.decode(array_of(number, 3))


@pytest.mark.parametrize(
    "value",
    [
        "1e-300",
        "1.5",
        "true",
        "1e20",
        '"fe308e305e300"',
        r'"\\\"1e308\""',
        '{"1e308": 1}',
        '"\\\\"',
    ],
    ids=["small", "plain", "literal", "large", "digits", "quoted", "key", "backslash"],
)
def test_other_values_are_not_counted(value: str) -> None:
    """Those of strings neither, such as hexadecimal digits."""
    text = array_of(value, 5_000)
    msgspec.json.decode(text)
    assert not has_too_many_huge(text)


def test_what_stands_between_strings_is_counted() -> None:
    """As values of objects are."""
    text = array_of(r'{"a\"e\\": 1e308}', 1_001)
    msgspec.json.decode(text)
    assert has_too_many_huge(text)
