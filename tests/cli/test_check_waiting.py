"""`job-service check MODULE:NAME --url`: what a deploy would do to the jobs that wait."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from job_service import JobDetail, Registry
from job_service.cli.check_waiting import LOOKED_AT, examine_waiting
from job_service.client import JobClient
from job_service.main import main
from tests.terminal.conftest import served

NEXT = Registry()
HERE = "tests.cli.test_check_waiting:NEXT"


@NEXT.job("verbose")
async def verbose(lines: str) -> None:
    """Takes another payload than the handler that runs now."""


@NEXT.job("endless")
async def endless(_: None) -> None:
    """As it is now. `echo` is there no more."""


AGAIN = Registry()
AGAIN.include(NEXT)


@AGAIN.job("echo")
async def echo(payload: int) -> None:
    """It is there again."""


class Said(NamedTuple):
    """What a command said, and its exit status."""

    status: Any
    out: str
    err: str


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A service in which all jobs wait."""
    with served(port=0, log_file=str(tmp_path / "log")) as url:
        with JobClient(url) as client:
            client.pause()
        yield url


@pytest.fixture
def check(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Gives the command."""

    def give(*arguments: str, handlers: str = HERE) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(["check", handlers, *arguments])
        out, err = capfd.readouterr()
        return Said(ended.value.code, out, err)

    return give


def test_jobs_that_would_not_run_are_told(url: str, check: Callable[..., Said]) -> None:
    """With the reason, how many there are, and one to look at."""
    with JobClient(url) as client:
        echo, *_ = [client.submit("echo", number).id for number in range(3)]
        wrong = client.submit("verbose", 7).id
        client.submit("endless", None)
    said = check("--url", url)
    assert (said.status, said.err) == (1, "")
    why = "its payload does not fit verbose any more: Expected `str`, got `int`"
    assert said.out.splitlines() == [
        f"misfit: 3 jobs of type echo, such as {echo}: no handler is registered for echo",
        f"misfit: 1 job of type verbose, such as {wrong}: {why}",
        f"{url}: 5 jobs waiting, 5 looked at",
        "4 jobs would wait for other handlers.",
    ]


def test_if_all_fit_the_status_says_so(url: str, check: Callable[..., Said]) -> None:
    """And a deploy may go on."""
    with JobClient(url) as client:
        client.submit("endless", None)
    said = check("--url", url)
    assert (said.status, said.err) == (0, "")
    assert said.out == (
        f"{url}: 1 job waiting, 1 looked at\nAll that were looked at fit the handlers.\n"
    )


def test_the_service_itself_may_lack_a_handler(tmp_path: Path, check: Callable[..., Said]) -> None:
    """After a deploy that forgot one: the next one has it again, or still does not."""
    settings = {"port": 0, "log_file": str(tmp_path / "log"), "store": f"sqlite:{tmp_path}/jobs"}
    with served(AGAIN, **settings) as url, JobClient(url) as client:
        client.pause()
        job = client.submit("echo", 1).id
    with served(NEXT, **settings) as url:
        said = check("--url", url)
        assert (said.status, said.err) == (1, "")
        assert said.out.splitlines()[:2] == [
            f"misfit: 1 job of type echo, such as {job}: no handler is registered for echo",
            f"{url}: 1 job waiting, 1 looked at",
        ]
        said = check("--url", url, handlers="tests.cli.test_check_waiting:AGAIN")
        assert (said.status, said.err) == (0, "")
        assert said.out.startswith(f"{url}: 1 job waiting, 1 looked at\n")
    with served(AGAIN, **settings) as url:
        assert check("--url", url).status == 1


def test_programs_read_one_object(url: str, check: Callable[..., Said]) -> None:
    """With the same in it."""
    with JobClient(url) as client:
        job = client.submit("echo", 1).id
    status, out, _ = check("--url", url, "--json")
    assert status == 1
    assert msgspec.json.decode(out) == {
        "url": url,
        "waiting": 1,
        "looked_at": 1,
        "hidden": 0,
        "misfits": [
            {
                "type": "echo",
                "error": "no handler is registered for echo",
                "jobs": 1,
                "example": job,
            }
        ],
    }


def test_of_very_many_jobs_the_oldest_are_looked_at(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each type, so that no type hides another one; and it is said how many that were."""
    assert LOOKED_AT == 500
    monkeypatch.setattr("job_service.cli.check_waiting.LOOKED_AT", 3)
    with JobClient(url) as client:
        for number in range(5):
            client.submit("verbose", number)
        for _ in range(5):
            client.submit("endless", None)
    report = examine_waiting(url, NEXT)
    assert (report.waiting, report.looked_at) == (10, 6)
    assert [(misfits.type, misfits.jobs) for misfits in report.misfits] == [("verbose", 3)]


def test_payloads_that_the_token_may_not_read_are_counted(
    url: str, check: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that they fit."""
    with JobClient(url) as client:
        client.submit("verbose", 7)
    get = JobClient.get

    def get_hidden(self: JobClient, job_id: str) -> JobDetail:
        return msgspec.structs.replace(get(self, job_id), payload=msgspec.Raw(b"null"), hidden=True)

    monkeypatch.setattr(JobClient, "get", get_hidden)
    assert check("--url", url).out.splitlines() == [
        "note: 1 job could not be compared: the token may not read payloads",
        f"{url}: 1 job waiting, 0 looked at",
        "All that were looked at fit the handlers.",
    ]


def test_it_changes_nothing(url: str, check: Callable[..., Said]) -> None:
    """The jobs wait as before."""
    with JobClient(url) as client:
        job = client.submit("echo", 1)
        before = client.metrics()
        check("--url", url)
        after = client.metrics()
        assert client.get(job.id).status == "pending"
    assert msgspec.structs.replace(after, uptime_seconds=0, jobs_oldest_ready_seconds=0) == (
        msgspec.structs.replace(before, uptime_seconds=0, jobs_oldest_ready_seconds=0)
    )


def test_without_a_service_it_says_so(check: Callable[..., Said], free_port: int) -> None:
    """Nothing was looked at, so it is not well."""
    said = check("--url", f"http://127.0.0.1:{free_port}")
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith("job-service: ")


def test_a_file_has_no_url(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file and a service are asked apart."""
    file = tmp_path / "jobs.db"
    file.touch()
    with pytest.raises(SystemExit) as ended:
        main(["check", str(file), "--url", "http://127.0.0.1:1"])
    assert ended.value.code == 2
    assert "--url is for MODULE:NAME" in capfd.readouterr().err
