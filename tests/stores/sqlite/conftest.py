"""A database of each test's own, on a disk that fails when the test says so."""

import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.sample import closing_file
from tests.stores.workshop import Workshop

MEGABYTE = 1_000_000


@asynccontextmanager
async def opened_file(
    path: Path, *, recovers: bool = True, start_at: float = 0.0, **options: Any
) -> AsyncIterator[Workshop]:
    """A workshop on the store in this file, so many seconds after the first one."""
    shop = Workshop()
    shop.seconds = start_at
    store = SqliteStore(
        path,
        shop.hear,
        shop.clock,
        **{"capacity": 100, "capacity_bytes": MEGABYTE, "retain": 100} | options,
    )
    shop.store = store
    store.attach(shop)
    async with store.opened():
        if recovers:
            await store.recover()
        yield shop


def as_after_a_crash(path: Path) -> Path:
    """A copy of what is kept now, as the process would leave it if it were killed now."""
    number = len(list(path.parent.glob("crash-*.db")))
    copy = path.with_name(f"crash-{number}.db")
    # The log first: its thread may move what is in it to the database meanwhile, and back never.
    for suffix in ("-wal", "", "-starts"):
        if (source := Path(f"{path}{suffix}")).exists():
            shutil.copy(source, f"{copy}{suffix}")
    return copy


class Disk:
    """What fails of the file, in each call: `failing` has names of methods of JobFile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing: set[str] = set()
        self._turns = threading.RLock()
        for name in (
            "write",
            "write_at_once",
            "trim",
            "_delete_first",
            "get",
            "page",
            "summaries",
            "counts",
            "keys",
            "unfinished",
        ):
            monkeypatch.setattr(JobFile, name, self._breakable(name, getattr(JobFile, name)))

    def _breakable(self, name: str, method: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            with self._turns:
                if name in self.failing:
                    raise sqlite3.OperationalError("database or disk is full")
                return method(*args, **kwargs)

        return call

    def stuck(self) -> AbstractContextManager[object]:
        """Nothing is answered during the block."""
        return self._turns


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk that works until the test says otherwise."""
    return Disk(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is, or will be."""
    return tmp_path / "jobs.db"


@pytest.fixture
def file(path: Path) -> Iterator[JobFile]:
    """A new database, open."""
    with closing_file(path) as file:
        yield file
