"""What nobody can be looking for is refused, or found nowhere: by each store alike."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from job_service.errors import InvalidOption
from job_service.jobs.queueing.filters import job_filter
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from tests.stores.workshop import Workshop

REFUSED: tuple[dict[str, Any], ...] = (
    {"tag": "\ud800"},
    {"unique_key": "\ud800"},
    {"group": "\ud800"},
    {"job_type": "\ud800"},
    {"job_type": ["email", "\ud800"]},
    {"id_part": "\ud800"},
    {"error": "\ud800"},
    {"after": "\ud800"},
    {"after": "\0"},
    {"after": "é"},
    {"after": 5},
    {"status": 5},
    {"status": [5]},
    {"status": [[]]},
    {"status": "unknown"},
    {"status": b"failed"},
    {"job_type": 5},
    {"job_type": {"email": 1}},
    {"job_type": [f"type-{number}" for number in range(101)]},
    {"tag": 5},
    {"unique_key": ["a"]},
    {"created_after": "2026-01-01T00:00:00Z "},
    {"limit": "5"},
    {"limit": 1.5},
)
FOUND_NOWHERE: tuple[dict[str, Any], ...] = (
    {"id_part": "\0"},
    {"id_part": "é"},
    {"job_type": "\0"},
    {"job_type": [f"type-{number}" for number in range(100)]},
    {"tag": "\0"},
    {"unique_key": "\\0"},
    {"limit": -1},
    {"limit": -(10**20)},
    {"created_before": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23)))},
    {"created_after": datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=23)))},
)
FOUND: tuple[dict[str, Any], ...] = (
    {"tag": "a\0b"},
    {"unique_key": "k\0"},
    {"error": "first\0second"},
    {"limit": 10**20},
    {"after": "", "limit": 2**31},
    {"created_before": datetime(9999, 12, 31, tzinfo=UTC)},
)


async def test_each_store_takes_and_refuses_the_same(shop: Workshop) -> None:
    """No store breaks by what it is asked for."""
    queue = JobQueue(Registry(), shop.store)
    job_id = await shop.new(tags=("a\0b",), unique_key="k\0")
    await shop.start(job_id)
    await shop.end(job_id, "fail", "first\0second")
    for wanted in REFUSED:
        with pytest.raises(InvalidOption):
            await queue.list(**wanted)
    for wanted in FOUND_NOWHERE:
        assert await queue.list(**wanted) == [], wanted
    for wanted in FOUND:
        assert [job.id for job in await queue.list(**wanted)] == [job_id], wanted
    await shop.check()


def test_a_type_that_is_said_twice_counts_once() -> None:
    """As a status does."""
    assert job_filter(job_type=["a"] * 200, status=["failed"] * 2) == job_filter(
        job_type="a", status="failed"
    )
