"""Writes a report each night, of the day that has ended, in the time zone of the shop."""

import csv
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from job_service import JobContext, Registry, Retry

registry = Registry()

SHOP = ZoneInfo("Europe/Berlin")
FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))


class Report(msgspec.Struct):
    day: date
    orders: int
    euros: float


@registry.cron(
    "30 0 * * *", tz="Europe/Berlin", retry=Retry(max_retries=40, base_seconds=60, max_seconds=3600)
)
def nightly_report(job: JobContext) -> Report:
    # The tick is the same for each attempt. The clock on the wall is not: the fifth attempt, or
    # one after the service was down, may come on another day.
    return write_report(day_before(job.scheduled_for or datetime.now(UTC)))


@registry.job("report")
def report_of(day: date) -> Report:
    """For a report that is wanted again, by hand."""
    return write_report(day)


def day_before(tick: datetime) -> date:
    """The day in the shop that has ended at this tick."""
    return tick.astimezone(SHOP).date() - timedelta(days=1)


def write_report(day: date) -> Report:
    amounts = list(amounts_of(day))
    report = Report(day, len(amounts), round(sum(amounts), 2))
    unfinished = FOLDER / f"{day}.json.part"
    unfinished.write_bytes(msgspec.json.encode(report))
    unfinished.replace(FOLDER / f"{day}.json")  # so that a second run does no harm
    return report


def amounts_of(day: date) -> Iterator[float]:
    """The orders between two midnights in the shop, which may be 23 or 25 hours apart."""
    begin = datetime.combine(day, time(), SHOP).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), SHOP).astimezone(UTC)
    with (FOLDER / "orders.csv").open(newline="") as file:
        for order in csv.DictReader(file):
            if begin <= datetime.fromisoformat(order["at"]) < end:
                yield float(order["euros"])
