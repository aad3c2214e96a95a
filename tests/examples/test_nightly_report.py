"""The example `nightly_report`: each report is of its own day, whenever it is written."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from job_service.testing import next_ticks, virtual_service
from tests.examples.conftest import Load

FRIDAY = datetime(2026, 3, 27, 12, tzinfo=UTC)  # the clocks change in the night to Sunday
ORDERS = """\
at,euros
2026-03-27T22:59:59Z,1
2026-03-27T23:00:00Z,2
2026-03-28T22:59:59Z,4
2026-03-28T23:00:00Z,8
2026-03-29T21:59:59Z,16
2026-03-29T22:00:00Z,32
"""


@pytest.fixture
def example(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The example, with a folder of its own."""
    monkeypatch.setenv("SHOP_FOLDER", str(tmp_path))
    return load("nightly_report")


async def test_each_order_is_in_the_report_of_its_day(
    example: Any, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """By the midnights of the shop, also of the day that has 23 hours."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    async with virtual_service(example.registry, start=FRIDAY) as service:
        await trio.sleep(3 * 86_400)
        await service.wait_until_idle()
    reports = [msgspec.json.decode(path.read_bytes()) for path in sorted(tmp_path.glob("*.json"))]
    assert [(report["day"], report["euros"]) for report in reports] == [
        ("2026-03-27", 1),
        ("2026-03-28", 6),
        ("2026-03-29", 24),
    ]


async def test_a_late_attempt_writes_the_report_of_its_own_day(
    example: Any, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The orders come a day too late, on Sunday, and the report is still that of Friday."""
    async with virtual_service(example.registry, start=FRIDAY) as service:
        await trio.sleep(36 * 3_600)
        (tmp_path / "orders.csv").write_text(ORDERS)
        await service.wait_until_idle()
        [job] = await service.queue.list()
        assert (job.status, job.attempt > 20) == ("completed", True)
    [written] = tmp_path.glob("*.json")
    assert written.name == "2026-03-27.json"


def test_it_runs_each_night_by_the_clocks_of_the_shop(example: Any) -> None:
    """In summer and in winter."""
    ticks = next_ticks(example.registry, "nightly_report", 3, after=FRIDAY)
    assert [tick.isoformat() for tick in ticks] == [
        "2026-03-28T00:30:00+01:00",
        "2026-03-29T00:30:00+01:00",
        "2026-03-30T00:30:00+02:00",
    ]
