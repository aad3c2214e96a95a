"""`job-service check`: what a deploy should ask first."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from job_service import Registry, Settings, host
from job_service.main import main
from job_service.stores.sqlite.connection import open_connection
from job_service.stores.sqlite.schema import VERSION

Said = pytest.CaptureFixture[str]

OLD = Registry()


@OLD.job("echo")
async def echo(text: str) -> None:
    """Takes text."""


@OLD.job("mail")
async def mail(to: str) -> None:
    """Gone in the new program."""


NEW_JOBS = """
from job_service import Registry

registry = Registry()

@registry.job("echo")
async def echo(number: int) -> None: ...
"""

OLD_JOBS = "tests.cli.test_check:OLD"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the jobs are."""
    return tmp_path / "jobs.db"


@pytest.fixture
def settings(file: Path, tmp_path: Path) -> Settings:
    """Those of the old program."""
    return Settings(port=0, store=str(file), log_file=str(tmp_path / "log"))


async def fill(settings: Settings) -> None:
    """Let the old program leave a job that has completed, and four that wait."""
    async with host(OLD, settings) as running:
        job = await running.queue.submit("echo", "now")
        await running.queue.wait(job.id, 10)
        for _ in range(3):
            await running.queue.submit("mail", "ada", delay_seconds=1_000)
        await running.queue.submit("echo", "later", delay_seconds=1_000)


def check(*arguments: str) -> int:
    """The exit status."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def check_as_json(capfd: Said, *arguments: str) -> tuple[int, Any]:
    """The exit status, and what is said."""
    status = check(*arguments, "--json")
    return status, json.loads(capfd.readouterr().out)


def use(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """The flags for the handlers of a new program."""
    (tmp_path / "new_jobs.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "--jobs", "new_jobs:registry"


async def test_all_is_well(settings: Settings, file: Path, capfd: Said) -> None:
    """It says how many jobs have which status, and with the same handlers that all fit."""
    await fill(settings)
    assert check("--jobs", OLD_JOBS, "check", str(file)) == 0
    head, counts, verdict = capfd.readouterr().out.splitlines()
    assert head.startswith(f"{file}: ")
    assert f"bytes, schema version {VERSION} (this program knows {VERSION}), SQLite 3." in head
    assert counts == "4 pending, 0 processing, 1 completed, 0 failed, 0 cancelled, 0 abandoned"
    assert verdict == "It is sound, and all jobs that have not ended fit the handlers."


async def test_without_handlers_none_are_compared(
    settings: Settings, file: Path, capfd: Said
) -> None:
    """And it says so, because nobody should take that for a yes."""
    await fill(settings)
    assert check("check", str(file)) == 0
    assert "No --jobs were given" in capfd.readouterr().out
    assert check_as_json(capfd, "check", str(file))[1]["misfits"] is None


async def test_jobs_that_would_not_fit_are_told(
    settings: Settings, file: Path, tmp_path: Path, capfd: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many of which type, why, and one to look at. What has ended does not count."""
    await fill(settings)
    jobs = use(NEW_JOBS, tmp_path, monkeypatch)
    status, report = check_as_json(capfd, *jobs, "check", str(file))
    assert status == 1
    assert report["problems"] == []
    mail, echo = report["misfits"]
    assert (mail["type"], mail["jobs"]) == ("mail", 3)
    assert mail["error"] == "no handler is registered for mail"
    assert (echo["type"], echo["jobs"]) == ("echo", 1)
    assert echo["error"].startswith("its payload does not fit echo any more: Expected `int`")

    assert check(*jobs, "check", str(file)) == 1
    *_, first, second, verdict = capfd.readouterr().out.splitlines()
    assert first == f"misfit: 3 jobs of type mail, such as {mail['example']}: {mail['error']}"
    assert second.startswith(f"misfit: 1 job of type echo, such as {echo['example']}: its payload")
    assert verdict == "It is sound, but 4 of its jobs would wait for other handlers."


async def test_a_service_may_run_on_the_file(settings: Settings, file: Path, capfd: Said) -> None:
    """It sees what is kept by then, and changes nothing."""
    async with host(OLD, settings) as running:
        await running.queue.submit("mail", "ada", delay_seconds=1_000)
        status, report = check_as_json(capfd, "--jobs", OLD_JOBS, "check", str(file))
        assert (status, report["counts"]["pending"], report["misfits"]) == (0, 1, [])
        await running.queue.submit("mail", "ada", delay_seconds=1_000)
        assert running.metrics().store_errors == 0


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("DELETE FROM payloads", "has no payload"),
        ("UPDATE jobs SET record = '[]' WHERE status = 'pending'", "a job can't be read: "),
        ("UPDATE jobs SET status = 'lost'", "has the unknown status lost"),
        ("PRAGMA user_version = 9", "version 9"),
        (
            "UPDATE finished_counts SET jobs = 7",
            "of the jobs of type echo that are completed, 1 are kept and 7 counted",
        ),
        ("DROP TABLE payloads", "no such table"),
    ],
)
async def test_what_is_wrong_with_the_file_is_told(
    harm: str, problem: str, settings: Settings, file: Path, capfd: Said
) -> None:
    """One line for each thing, and the exit status 1."""
    await fill(settings)
    connection = open_connection(file)
    connection.execute(harm)
    connection.close()
    status, report = check_as_json(capfd, "--jobs", OLD_JOBS, "check", str(file))
    assert status == 1
    assert any(problem in line for line in report["problems"])
    assert check("check", str(file)) == 1
    said = capfd.readouterr().out.splitlines()
    assert any(line.startswith("wrong: ") and problem in line for line in said)
    assert said[-1] == "It is not sound."


async def test_what_else_can_not_be_read_is_told(
    settings: Settings, file: Path, capfd: Said
) -> None:
    """How many rows of which table, why, and what becomes of them."""
    async with host(OLD, settings) as running:
        for key in ("one", "two"):
            await running.queue.submit("mail", "ada", idempotency_key=key, delay_seconds=1_000)
    with closing(open_connection(file)) as connection:
        connection.execute("UPDATE keys SET jobs = '{'")
    assert check("check", str(file)) == 1
    *_, problem, verdict = capfd.readouterr().out.splitlines()
    assert problem.startswith("wrong: 2 rows of keys can't be read (")
    assert problem.endswith(
        "): requests with such keys are refused, as if they had been used for others"
    )
    assert verdict == "It is not sound."


async def test_a_file_of_an_older_version_is_looked_at(
    settings: Settings, file: Path, capfd: Said
) -> None:
    """As far as that version had anything to look at, and it stays as it is."""
    await fill(settings)
    with closing(open_connection(file)) as connection:
        for table in ("finished_counts", "schedules", "groups"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 3")
    status, report = check_as_json(capfd, "check", str(file))
    assert (status, report["problems"], report["schema_version"]) == (0, [], 3)


def test_a_file_that_is_no_database_is_told(file: Path, capfd: Said) -> None:
    """It is left as it was."""
    file.write_text("something else")
    status, report = check_as_json(capfd, "check", str(file))
    assert (status, len(report["problems"])) == (1, 1)
    assert file.read_text() == "something else"


@pytest.mark.parametrize(
    "arguments", [["check"], ["check", "none.db"], ["check", "/"], ["check", "a.db", "b.db"]]
)
def test_bad_usage_has_a_status_of_its_own(arguments: list[str], capfd: Said) -> None:
    """A file that is not there, or none at all, says nothing of any job."""
    assert check(*arguments) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("job-service: ")
    assert len(said.err.splitlines()) == 1
    assert "--file" not in said.err
