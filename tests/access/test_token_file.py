"""The file of tokens is read again when it changes, and a broken one changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from job_service.access import token_file
from job_service.access.token_file import TokenFile
from job_service.access.tokens import Token, Tokens, find_repetition, strongest
from job_service.process import watched_files
from job_service.process.watched_files import LOOK_SECONDS
from job_service.settings import Settings
from job_service.telemetry.events import TokenReloadFailed, TokensReloaded
from tests.conftest import Record


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one token."""
    file = tmp_path / "tokens"
    file.write_text("grafana read first\n")
    return file


@pytest.fixture
def record() -> Record:
    """What is told."""
    return Record()


@pytest.fixture
def settings(file: Path) -> Settings:
    """The settings of a service that has the file, and a token besides."""
    return Settings(tokens=("own",), token_file=str(file))


@pytest.fixture
def watch(
    settings: Settings,
    record: Record,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], Tokens]:
    """Start to watch the file, without threads; gives the tokens that the service takes."""

    async def call(function: Callable[..., object], *args: object) -> object:
        await trio.lowlevel.checkpoint()
        return function(*args)

    for module in (token_file, watched_files):
        monkeypatch.setattr(module, "in_thread", call)

    def start() -> Tokens:
        tokens, seen = Tokens(settings.accepted_tokens), settings.token_reading.seen
        watching = TokenFile(tokens, settings.tokens, settings.token_file or "", seen)
        nursery.start_soon(watching.watch, record.observe)
        return tokens

    return start


@pytest.fixture
def tokens(watch: Callable[[], Tokens]) -> Tokens:
    """The tokens of a service that watches the file."""
    return watch()


async def test_a_changed_file_counts_without_a_restart(
    autojump_clock: trio.testing.MockClock, file: Path, tokens: Tokens, record: Record
) -> None:
    """New tokens come in, those that are gone come in no more, and a role may change."""
    assert tokens.find(b"first") == Token("first", "read", "grafana")
    file.write_text("grafana submit first\nalice operate second\n")
    await trio.sleep(10 * LOOK_SECONDS)
    assert tokens.find(b"first") == Token("first", "submit", "grafana")
    assert tokens.find(b"second") == Token("second", "operate", "alice")
    assert tokens.find(b"own") == Token("own")
    (event,) = record.of(TokensReloaded)
    assert (event.token_file, event.tokens) == (str(file), 3)

    file.write_text("alice operate second\n")
    await trio.sleep(10 * LOOK_SECONDS)
    assert tokens.find(b"first") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "grafana read first\ngrafana read s3cret\n",
        "s3cret read\n",
        "s3cret\nme read s3cret2\n",
        "own\n",
        None,
    ],
)
async def test_a_broken_file_changes_nothing(
    autojump_clock: trio.testing.MockClock,
    file: Path,
    tokens: Tokens,
    record: Record,
    text: str | None,
) -> None:
    """The old tokens still count, and a line says why, without a token in it."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    await trio.sleep(10 * LOOK_SECONDS)
    assert tokens.find(b"first") is not None
    (event,) = record.of(TokenReloadFailed)
    assert "s3cret" not in event.error
    assert not record.of(TokensReloaded)


async def test_a_token_that_is_revoked_while_the_service_starts_is_gone(
    autojump_clock: trio.testing.MockClock, file: Path, watch: Callable[[], Tokens], record: Record
) -> None:
    """As while the job types are imported: the file is read anew, though it changes no more."""
    file.write_text("grafana read second-token\n")
    tokens = watch()
    assert tokens.find(b"first") is not None
    await trio.sleep(10 * LOOK_SECONDS)
    assert tokens.find(b"first") is None
    assert tokens.find(b"second-token") is not None
    assert len(record.of(TokensReloaded)) == 1


def test_many_tokens_are_compared_no_more_often_than_few() -> None:
    """Each is looked up among those before it: none is compared with all others."""

    class Counting(str):
        __slots__ = ()
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Counting.compared += 1
            return super().__eq__(other)

    tokens = [Token(Counting(f"secret-{n}"), "read", f"name-{n}") for n in range(200)]
    assert find_repetition(tokens) is None
    assert Counting.compared < len(tokens)
    assert find_repetition([*tokens, Token("new", "read", "name-7")]) == (7, 200, "name")
    assert find_repetition([*tokens, Token("secret-7", "read", "new")]) == (7, 200, "token")


def test_a_command_on_the_same_machine_takes_the_token_that_may_do_most() -> None:
    """Of the file that the service has, so that `job-service pause` needs no other."""
    tokens = Settings(tokens=("a read one", "b submit two", "c operate three", "d operate four"))
    assert strongest(tokens.accepted_tokens) == "three"
    assert strongest(()) is None
