"""Peers are optional: one that is absent or fails is told of, and the others are measured."""

import sys
from pathlib import Path

import pytest
from bench import engine_peers
from bench.engine_peers import engine_against_peers_in_memory
from bench.peers import environments, running
from bench.peers.environments import missing, title
from bench.peers.running import PeerError, jobs_per_second, take_turns_with_peers


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A checkout in which no peer has an environment."""
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)


@pytest.mark.usefixtures("nothing_installed")
def test_an_absent_peer_says_how_to_install_it() -> None:
    """The reason is a command that can be copied."""
    assert missing("saq") == "not installed (python -m bench.peers.install saq)"


@pytest.mark.usefixtures("nothing_installed")
def test_a_peer_that_needs_a_newer_python_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is a command again, which has a place for that interpreter."""
    monkeypatch.setattr(environments, "OLDEST_PYTHON", {"oban": (4, 0)})
    assert missing("oban") == (
        "needs Python 4.0 or later (python -m bench.peers.install --python PYTHON oban)"
    )


@pytest.mark.usefixtures("nothing_installed")
def test_the_engine_is_measured_where_no_peer_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each peer stands among the skipped, and ours has its row."""

    async def rate() -> float:
        return 1_000.0

    monkeypatch.setattr(engine_peers, "our_jobs_per_second", rate)
    comparison = engine_against_peers_in_memory(2)
    assert list(comparison.sides.values()) == [[1_000.0, 1_000.0]]
    assert len(comparison.skipped) == len(engine_peers.IN_MEMORY)
    assert str(comparison).count("skipped: not installed") == len(engine_peers.IN_MEMORY)


def test_an_installed_peer_is_called_by_its_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A figure belongs to a version."""
    release = f"python{sys.version_info.major}.{sys.version_info.minor}"
    metadata = tmp_path / "saq" / "lib" / release / "site-packages" / "saq-1.2.3.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: saq\nVersion: 1.2.3\n")
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    assert title("saq") == "SAQ 1.2.3"
    assert missing("saq") is None


def test_a_peer_on_redis_needs_a_redis_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only where it is on Redis, and the reason says what to install."""
    monkeypatch.setattr(environments, "version_of", lambda _: "1.2.3")
    monkeypatch.setenv("PATH", "")
    assert missing("taskiq") is None
    reason = missing("taskiq", on_redis=True)
    assert reason == "needs redis-server (apt-get install redis-server)"


def test_a_peer_that_fails_is_skipped_with_its_error_and_the_others_go_on() -> None:
    """Also if it fails in a later round than the first."""
    rounds_of_the_bad_one = iter([1.0, 1.0])

    def bad() -> float:
        for rate in rounds_of_the_bad_one:
            return rate
        raise PeerError("no more")

    sides, failed = take_turns_with_peers(
        {"ours": lambda: 10.0}, {"bad": bad, "good": lambda: 5.0}, rounds=3
    )
    assert sides == {"ours": [10.0] * 3, "good": [5.0] * 3}
    assert failed == {"bad": "failed: no more"}


def test_what_fails_on_our_side_is_not_skipped() -> None:
    """A benchmark of nothing but peers would be none of ours."""

    def ours() -> float:
        raise AssertionError("ours")

    with pytest.raises(AssertionError, match="ours"):
        take_turns_with_peers({"ours": ours}, {"good": lambda: 5.0}, rounds=1)


def test_the_error_of_a_peers_process_is_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it lacks a library: it runs in an environment that is not its own."""
    monkeypatch.setattr(running, "python_of", lambda _: sys.executable)
    with pytest.raises(PeerError, match="No module named 'huey'"):
        jobs_per_second("huey", "huey_memory", jobs=1)
