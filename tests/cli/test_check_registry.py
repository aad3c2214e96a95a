"""`job-service check MODULE:NAME`: what a registry has, and what of it could not work."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel

from job_service import JobContext, Rate, Registry, Retry
from job_service.cli.check_registry import examine_registry, lines_of_registry
from job_service.main import main
from tests.jobs import process_handlers

Said = pytest.CaptureFixture[str]

SATURDAY = datetime(2026, 3, 28, 12, tzinfo=UTC)


class Order(msgspec.Struct):
    """A payload."""

    number: int


class Line(BaseModel):
    """Another one."""

    sku: str


SHOP = Registry()


@SHOP.resource
async def bank() -> AsyncIterator[None]:
    """What handlers share."""
    yield


@SHOP.job(
    "charge", retry=Retry(max_retries=1), timeout=20, concurrency=3, rate=Rate(5, 60), per=repr
)
async def charge(order: Order, bank: None, job: JobContext) -> None:
    """Takes all there is."""


@SHOP.job("sync", runs_in="asyncio")
async def sync() -> None:
    """Runs elsewhere."""


@SHOP.cron("30 2 * * *", tz="Europe/Berlin")
async def nightly() -> None:
    """Comes by the clocks of a zone."""


@SHOP.every(90)
async def often() -> None:
    """Comes at an interval."""


SHOP.job("area", runs_in="process")(process_handlers.area)


def lines_of(registry: Registry) -> list[str]:
    """What the command prints of a registry on a Saturday."""
    return list(lines_of_registry(examine_registry("shop:registry", registry, SATURDAY)))


def test_a_registry_is_told_with_its_ticks() -> None:
    """Payloads, terms, resources, and when its schedules run next, over a change of the clocks."""
    assert lines_of(SHOP) == [
        "area     in a process, payload Square, 3 retries",
        (
            "charge   on the loop, payload Order, 1 retry, 20 s at most, 3 at a time, 5 in 60 s, "
            "for each key, with bank"
        ),
        "nightly  on the loop, no payload, 3 retries",
        "often    on the loop, no payload, 3 retries",
        "sync     on asyncio's loop, no payload, 3 retries",
        "resources, in the order in which they open: bank",
        "schedule nightly: 30 2 * * * Europe/Berlin",
        "  Sun 2026-03-29 03:00:00 +0200",
        "  Mon 2026-03-30 02:30:00 +0200",
        "  Tue 2026-03-31 02:30:00 +0200",
        "  Wed 2026-04-01 02:30:00 +0200",
        "  Thu 2026-04-02 02:30:00 +0200",
        "schedule often: every 90 s, if it started now",
        "  Sat 2026-03-28 12:01:30 +0000",
        "  Sat 2026-03-28 12:03:00 +0000",
        "  Sat 2026-03-28 12:04:30 +0000",
        "  Sat 2026-03-28 12:06:00 +0000",
        "  Sat 2026-03-28 12:07:30 +0000",
        "All of it can work.",
    ]


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (Order | None, "Order | None (may be absent)"),
        (list[Annotated[Line, "a note"]], "list[Line]"),
        (dict[str, tuple[int, ...]], "dict[str, tuple[int, …]]"),
        (Literal["a", 1], "Literal['a', 1]"),
    ],
)
def test_a_payload_reads_as_it_was_written(annotation: Any, told: str) -> None:
    """Without modules and notes, and with a word on whether it may be left out."""
    registry = Registry()

    async def handler(payload): ...  # type: ignore[no-untyped-def]  # it is annotated below

    handler.__annotations__["payload"] = annotation
    registry.job("any")(handler)
    assert lines_of(registry)[0] == f"any  on the loop, payload {told}, 3 retries"


def test_what_could_not_work_is_told() -> None:
    """A registry that nobody has filled, and a handler that is no longer where it was."""
    assert lines_of(Registry()) == [
        "wrong: it has no job types: perhaps the module that registers them is not imported",
        "Not all of it can work.",
    ]
    registry = Registry()
    registry.job("gone", runs_in="process")(GONE)
    *_, wrong, verdict = lines_of(registry)
    assert wrong.startswith("wrong: gone: no process can have its handler: ")
    assert verdict == "Not all of it can work."


def gone() -> None:
    """Whose name is deleted when the module is complete."""


GONE = gone
del gone


def test_what_is_worth_a_look_is_told() -> None:
    """A payload that nobody checks, and a resource that nobody takes, keep nothing from working."""
    registry = Registry()
    registry.resource(bank)

    @registry.job("loose")
    async def loose(payload: Any) -> None: ...

    assert lines_of(registry)[-3:] == [
        "note: loose: payloads are not checked: 'payload' may be anything",
        "note: resource bank: neither a handler nor a hook takes it",
        "All of it can work.",
    ]


def test_scripts_get_one_object_and_a_status(capsys: Said) -> None:
    """0 if all can work, 1 if not, 2 if there is no such registry."""
    with pytest.raises(SystemExit) as ended:
        main(["check", "tests.cli.test_check_registry:SHOP", "--json"])
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["registry"] == "tests.cli.test_check_registry:SHOP"
    assert [each["type"] for each in report["types"]] == [
        "area",
        "charge",
        "nightly",
        "often",
        "sync",
    ]
    assert report["types"][1]["payload_required"] is True
    assert len(report["schedules"][0]["next"]) == 5
    assert (report["problems"], report["notes"]) == ([], [])

    with pytest.raises(SystemExit) as ended:
        main(["check", "tests.cli.test_check_registry:EMPTY"])
    assert ended.value.code == 1
    assert "it has no job types" in capsys.readouterr().out


EMPTY = Registry()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("tests.cli.test_check_registry:SHOPP", "has no Registry named 'SHOPP'; did you mean SHOP"),
        ("no_such_module:registry", "No module named 'no_such_module'"),
        ("nowhere.db", "File 'nowhere.db' does not exist"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    target: str, said: str, capfd: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With status 2, and without the name of a flag that nobody has given."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["check", target])
    assert ended.value.code == 2
    line = capfd.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert "--jobs" not in line
