"""What an operator may write for a store, and what is meant by it."""

from pathlib import Path

import pytest

from job_service.stores.location import (
    MemoryLocation,
    PostgresLocation,
    SqliteLocation,
    parse_store,
)


def test_memory_is_memory() -> None:
    """It is shown as it is written."""
    assert parse_store("memory") == MemoryLocation()
    assert str(parse_store("memory")) == "memory"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:/srv/jobs.db", "/srv/jobs.db"),
        ("sqlite:/srv/jobs", "/srv/jobs"),
        ("sqlite:memory", "{here}/memory"),
        ("sqlite:data/jobs.db", "{here}/data/jobs.db"),
        ("/srv/jobs.sqlite", "/srv/jobs.sqlite"),
        ("jobs.db", "{here}/jobs.db"),
        ("./a b/jobs.db", "{here}/a b/jobs.db"),
        ("..db", "{here}/..db"),
    ],
)
def test_a_path_is_a_sqlite_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, path: str
) -> None:
    """`sqlite:` says so, or else the end of its name; what is shown means the same anywhere."""
    monkeypatch.chdir(tmp_path)
    path = path.format(here=tmp_path)
    location = parse_store(text)
    assert location == SqliteLocation(Path(path))
    assert str(location) == f"sqlite:{path}"
    monkeypatch.chdir("/")
    assert parse_store(str(location)) == location


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("postgresql:jobs", "takes a URL, such as postgresql://user@host/database"),
        ("redis://db.test/0", "must be memory, sqlite:PATH"),
        ("https://a.test/jobs.db", "must be memory, sqlite:PATH"),
        ("jobs", "must be memory, sqlite:PATH"),
        ("Memory", "must be memory, sqlite:PATH"),
        ("", "must be memory, sqlite:PATH"),
        ("sqlite:", "needs the path of a file"),
        ("sqlite:/srv/", "needs the path of a file"),
        ("sqlite::memory:", "takes a plain path"),
        ("sqlite:///srv/jobs.db", "takes a plain path"),
        ("sqlite:a\0b", "takes a plain path"),
    ],
)
def test_what_is_no_store_is_refused(text: str, why: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValueError, match=why):
        parse_store(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://jobs:s3cret@db.test:5433/jobs", "postgresql://db.test:5433/jobs"),
        ("postgres://db.test/jobs.db?password=s3cret", "postgresql://db.test/jobs.db"),
        ("postgresql:///jobs?host=/run/postgresql", "postgresql:///jobs"),
    ],
)
def test_a_database_is_shown_without_its_password(url: str, shown: str) -> None:
    """Wherever in its URL that is."""
    location = parse_store(url)
    assert location == PostgresLocation(url)
    assert str(location) == shown
    assert "s3cret" not in repr(location)


def test_a_database_needs_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is an extra; what to install is said."""
    monkeypatch.setattr("job_service.stores.location.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"the extra 'postgres' of trio-job-service"):
        parse_store("postgresql://db.test/jobs")
