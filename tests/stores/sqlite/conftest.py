"""A database of each test's own, and rows to keep in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from job_service.stores.sqlite.job_file import JobFile
from tests.stores.sqlite.sample import closing_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is, or will be."""
    return tmp_path / "jobs.db"


@pytest.fixture
def file(path: Path) -> Iterator[JobFile]:
    """A new database, open."""
    with closing_file(path) as file:
        yield file
