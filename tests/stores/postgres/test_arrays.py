"""Columns of many rows reach the server as they are, whatever their texts have."""

from datetime import UTC, datetime

import psycopg
import pytest

from job_service.stores.postgres.arrays import JOINED, joined, plain, texts

ODD = ["{}", "a,b", '"', "\\", "NULL", " ", "\x1e", "\x1f\x1e", "ü\U0001f600", "' OR ''='"]


def read(url: str, statement: str, *values: object) -> list[object]:
    """What the server makes of an array."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"SELECT unnest({statement})".encode(), values)
        return [value for (value,) in rows.fetchall()]


@pytest.mark.parametrize("text", ODD)
def test_a_text_may_have_any_character(database: str, text: str) -> None:
    """Also one that stands between texts, or that quotes them."""
    assert read(database, JOINED, *joined([text, "next", text])) == [text, "next", text]
    assert read(database, "%s::text[]", texts([text, None, "", text])) == [text, None, "", text]


def test_an_empty_text_among_long_ones_stands_for_none(database: str) -> None:
    """Such as the result of a job that has none, beside those of others."""
    assert read(database, JOINED, *joined(["", "1", ""])) == [None, "1", None]


def test_moments_and_numbers_arrive_as_they_are(database: str) -> None:
    """To the microsecond."""
    moment = datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC)
    assert read(database, "%s::timestamptz[]", plain([moment, moment])) == [moment, moment]
    assert read(database, "%s::int[]", plain([-1, 0, 2])) == [-1, 0, 2]
    assert read(database, "%s::bool[]", plain([True, False])) == [True, False]
