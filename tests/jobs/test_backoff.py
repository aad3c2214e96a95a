"""How long a failed job waits before it is tried again: a pure function of its settings."""

import math
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_service import Retry


def test_each_wait_is_twice_the_one_before_it() -> None:
    """Unless told otherwise a job waits one second, then two, then four."""
    retry = Retry(jitter=0)
    assert [retry.delay(number, random.Random(0)) for number in (1, 2, 3, 4)] == [1, 2, 4, 8]


def test_base_and_factor_are_the_users_own() -> None:
    """The k-th retry waits base_seconds * factor ** (k - 1)."""
    retry = Retry(base_seconds=0.5, factor=3, jitter=0)
    assert [retry.delay(number, random.Random(0)) for number in (1, 2, 3)] == [0.5, 1.5, 4.5]


def test_a_factor_of_one_waits_the_same_time_each_time() -> None:
    """Constant backoff is a special case."""
    retry = Retry(base_seconds=7, factor=1, jitter=0)
    assert {retry.delay(number, random.Random(0)) for number in (1, 2, 1_000)} == {7}


def test_no_wait_is_longer_than_max_seconds() -> None:
    """The waits grow up to the cap, and stay there."""
    retry = Retry(max_seconds=5, jitter=0)
    assert [retry.delay(number, random.Random(0)) for number in (3, 4, 5, 60)] == [4, 5, 5, 5]


@pytest.mark.parametrize("factor", [2, 2.0, 1e300])
def test_a_huge_number_of_retries_overflows_nothing(factor: float) -> None:
    """At the thousandth or ten thousandth retry the wait is the cap, as at any before it."""
    retry = Retry(factor=factor, jitter=0)
    assert [retry.delay(number, random.Random(0)) for number in (1_000, 10_000)] == [300, 300]


@given(
    base=st.floats(0, 1e6),
    factor=st.floats(1, 1e6),
    cap=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
    number=st.integers(1, 10_000),
    seed=st.integers(),
)
def test_jitter_shortens_a_wait_by_its_share_at_the_most(
    base: float, factor: float, cap: float, jitter: float, number: int, seed: int
) -> None:
    """With jitter a wait is never longer than without it, and never shorter than its share."""
    plain = Retry(base_seconds=base, factor=factor, max_seconds=cap, jitter=0)
    jittered = Retry(base_seconds=base, factor=factor, max_seconds=cap, jitter=jitter)
    longest = plain.delay(number, random.Random(seed))
    wait = jittered.delay(number, random.Random(seed))

    assert 0 <= longest <= cap
    assert longest * (1 - jitter) <= wait <= longest
    assert wait == jittered.delay(number, random.Random(seed)), "it is the source that decides"


def test_jobs_that_failed_together_do_not_return_together() -> None:
    """Two waits drawn from one source differ."""
    source = random.Random(0)
    assert Retry().delay(1, source) != Retry().delay(1, source)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_retries", -1),
        ("base_seconds", -0.1),
        ("factor", 0.9),
        ("max_seconds", -1),
        ("jitter", -0.1),
        ("jitter", 1.1),
        ("jitter", math.nan),
        ("base_seconds", math.nan),
        ("factor", math.nan),
        ("factor", math.inf),  # times a base of 0 it is nan
        ("max_seconds", math.nan),
        ("max_seconds", math.inf),  # no date is that far away
        ("max_seconds", 1e15),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_its_name(setting: str, value: float) -> None:
    """The error comes when the rule is made, not at the first failure."""
    with pytest.raises(ValueError, match=f"^{setting} must be .*, not "):
        Retry(**{setting: value})  # type: ignore[arg-type]  # one of several fields


@pytest.mark.parametrize("value", [2.5, "3", True, None, math.nan, 3.0])
def test_retries_are_counted_in_whole_numbers(value: Any) -> None:
    """Anything else might be read as another number than was meant."""
    with pytest.raises(TypeError, match="max_retries must be an integer, not "):
        Retry(max_retries=value)


@pytest.mark.parametrize("setting", ["base_seconds", "factor", "max_seconds", "jitter"])
@pytest.mark.parametrize("value", ["3", True, Decimal(1)])
def test_what_is_no_number_is_refused_by_its_name(setting: str, value: Any) -> None:
    """Strings, bools, and numbers that can't be multiplied with floats are refused."""
    with pytest.raises(TypeError, match=f"{setting} must be a number, not "):
        Retry(**{setting: value})


def test_a_type_has_no_more_retries_than_a_submission_may_ask_for() -> None:
    """A thousand."""
    with pytest.raises(ValueError, match="max_retries must be between 0 and 1000, not 1001"):
        Retry(max_retries=1_001)


def test_the_first_wait_is_base_seconds_even_above_the_usual_maximum() -> None:
    """An hour is not cut to the five minutes that bound shorter waits."""
    source = random.Random(0)
    assert Retry(base_seconds=3_600, jitter=0).delay(1, source) == 3_600
    assert Retry(base_seconds=3_600, jitter=0).delay(9, source) == 3_600
    assert Retry(base_seconds=200, jitter=0).delay(2, source) == 300
    assert Retry(base_seconds=3_600, max_seconds=60, jitter=0).delay(1, source) == 60


def test_never_retrying_and_never_waiting_are_fine() -> None:
    """The bounds of the ranges are allowed."""
    retry = Retry(max_retries=0, base_seconds=0, factor=1, max_seconds=0, jitter=1)
    assert retry.delay(1, random.Random(0)) == 0
