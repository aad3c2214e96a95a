"""What the pages name is there, and what is there is named on some page."""

import re
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache
from io import StringIO
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

import job_service
import job_service.testing
from job_service import MetricsSnapshot, Registry, Settings, host
from job_service.cli.parser import read_command_line
from tests.docs.pages import DOCS, ROOT, Page, code_in, pages

# One process asks the service once for all of these.
pytestmark = pytest.mark.xdist_group("reference")

PAGES = pages()
AS_PAGES = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
PACKAGE = Path(job_service.__file__).parent
FLAG = re.compile(r"--[a-z][a-z-]+")
VARIABLE = re.compile(r"\bJOB_SERVICE_[A-Z_]+\b")


@cache
def said_by(*arguments: str) -> str:
    """What `job-service` prints."""
    said = StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        read_command_line(arguments)
    return said.getvalue()


@cache
def commands_of_help() -> list[str]:
    """All commands of `job-service`."""
    return re.findall(r"^  ([a-z-]+) ", said_by("--help").partition("Commands:")[2], re.MULTILINE)


@cache
def flags() -> frozenset[str]:
    """All flags of `job-service`."""
    return frozenset(re.findall(r"^  (--[a-z-]+)", said_by("--help"), re.MULTILINE))


def settings() -> frozenset[str]:
    """Those that are settings of a service."""
    return flags() - {"--help", "--version"}


@cache
def events() -> dict[str, tuple[str, frozenset[str]]]:
    """The level of each event and its fields, in brackets those that may be absent."""
    found = {}
    for text in said_by("vocabulary").split("\n\n"):
        head = re.match(r"(\w+) \((\w+)", text)
        if head is not None:
            fields = re.findall(r"^    (\[?\w+\]?)  ", text, re.MULTILINE)
            found[head[1]] = head[2], frozenset(fields)
    return found


@cache
def description() -> str:
    """The OpenAPI document of a service, which has all problems if it has a token."""
    headers = {"Authorization": "Bearer word"}

    async def ask() -> str:
        settings = Settings(port=0, log_file="/dev/null", tokens=("word",))
        async with (
            host(Registry(), settings) as running,
            httpx.AsyncClient(headers=headers) as client,
        ):
            return (await client.get(f"{running.url}/openapi.json")).text

    return trio.run(ask)


def spans() -> Iterator[str]:
    """All that the pages of the documentation set as code, but for the README."""
    for page in PAGES:
        if page.path.parent == DOCS:
            yield from page.spans


def rows(first_header: str) -> Iterator[list[str]]:
    """The rows of all tables with this first column, on all pages."""
    for page in PAGES:
        yield from page.table(first_header)


def commands(page: Page) -> Iterator[str]:
    """What the page says of the command: in code within the text, and in its blocks."""
    for span in page.spans:
        if span.startswith(("--", "job-service ")):
            yield span
    for block in page.blocks:
        for line in block.text.replace("\\\n", " ").splitlines():
            if "job-service " in line or '"job-service"' in line:
                yield re.sub(r".*?\bjob-service\b", "", line, count=1).partition("#")[0]


def test_the_map_has_each_room_of_the_package() -> None:
    """A newcomer finds each folder on it, and each module that is in none, and no other."""
    on_map = {room.rstrip("/") for cell, *_ in rows("room") for room in code_in(cell)}
    assert [room for room in sorted(on_map) if not (PACKAGE / room).exists()] == []
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("[!_]*.py")]
    assert [path for path in modules if not {str(path), str(path.parent)} & on_map] == []


@AS_PAGES
def test_files_that_a_page_names_exist(page: Page) -> None:
    """Where a page sends people to read code, there is some."""
    files = [span for span in page.spans if re.fullmatch(r"(\w+/)+\w+\.py", span)]
    assert [
        file for file in files if not ((PACKAGE / file).exists() or (ROOT / file).exists())
    ] == []


@AS_PAGES
def test_flags_and_variables_exist(page: Page) -> None:
    """What a page tells people to type is understood."""
    helps = (said_by(command, "--help") for command in commands_of_help())
    known = flags() | set(re.findall(FLAG, " ".join(helps)))
    named = {flag for command in commands(page) for flag in FLAG.findall(command)}
    assert named <= known
    variables = {f"JOB_SERVICE_{flag[2:].replace('-', '_').upper()}" for flag in settings()}
    assert set(VARIABLE.findall(page.text)) <= variables | {"JOB_SERVICE_URL"}


def test_every_setting_is_described_with_its_variable() -> None:
    """The table of settings has a row for each flag."""
    described = {code_in(flag)[0]: code_in(variable) for flag, variable, *_ in rows("flag")}
    assert described == {
        flag: [f"JOB_SERVICE_{flag[2:].replace('-', '_').upper()}"] for flag in settings()
    }


def test_every_event_is_described_with_its_fields() -> None:
    """The table of events has each with its level and fields, and no other."""
    described = {
        event: (level, frozenset(code_in(fields)))
        for names, level, fields, *_ in rows("event")
        for event in code_in(names)
    }
    of_stream_only = {event for event, (level, _) in described.items() if not level}
    assert of_stream_only == {
        name for name in events() if f"{name} (info, in the stream" in said_by("vocabulary")
    }
    assert described == {
        event: ("" if event in of_stream_only else level, fields)
        for event, (level, fields) in events().items()
    }


def test_every_metric_is_described() -> None:
    """The table of metrics has each in the order of the answer, and no other."""
    described = [name for names, *_ in rows("metric") for name in code_in(names)]
    assert described == list(MetricsSnapshot.__struct_fields__)


def test_every_call_is_described() -> None:
    """Each call of the API is named somewhere, and none that is not there."""
    named = {
        (method, path.partition("?")[0])
        for span in spans()
        for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/\S*)", span)
    }
    paths = msgspec.json.decode(description())["paths"]
    assert named == {(method.upper(), path) for path in paths for method in paths[path]}


def test_every_problem_is_described() -> None:
    """The table of problems has each `type` that the service's own description has."""
    named = {name for text in spans() for name in re.findall(r"/problems/[a-z-]+", text)}
    assert named == set(re.findall(r"/problems/[a-z-]+", description()))


def test_every_public_name_is_described() -> None:
    """What a program may import is described on some page."""
    words = {word for span in spans() for word in re.findall(r"\w+", span)}
    assert {*job_service.__all__, *job_service.testing.__all__} <= words


def moments(page: Page) -> Iterator[datetime]:
    """All moments in the samples of a page: timestamps, dates of answers, and those in ids."""
    for block in page.blocks:
        for text in re.findall(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", block.text):
            yield datetime.fromisoformat(text)
        for text in re.findall(r"(?m)^date: (.+)$", block.text):
            moment = parsedate_to_datetime(text)
            assert format_datetime(moment, usegmt=True) == text, "it was another day of the week"
            yield moment
        for text in re.findall(r"\b([0-9a-f]{8}-[0-9a-f]{4})-7[0-9a-f]{3}-[89ab]", block.text):
            yield datetime.fromtimestamp(int(text.replace("-", ""), 16) / 1000, UTC)


@AS_PAGES
def test_the_samples_of_a_page_are_of_one_day(page: Page) -> None:
    """Whoever follows a job through them is not led astray by a date."""
    if found := sorted(moments(page)):
        assert found[-1] - found[0] < timedelta(days=1)
