"""Files that are deleted, moved, replaced or cut off while they are in use."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from job_service.errors import StoreUnavailable
from job_service.stores.sqlite import housekeeping, presence
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.rows import Batch
from tests.stores.sqlite.conftest import as_after_a_crash, opened_file
from tests.stores.sqlite.test_trouble import calm, log
from tests.stores.workshop import Workshop


@pytest.fixture
def at_each_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks after its files each time, and not once a second."""
    monkeypatch.setattr(presence, "_EVERY_SECONDS", 0)


@pytest.fixture
async def shop(path: Path, at_each_commit: None) -> AsyncIterator[Workshop]:
    """A workshop on a file."""
    async with opened_file(path) as shop:
        yield shop


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_file_that_is_not_there_any_more_is_noticed(
    shop: Workshop, path: Path, suffix: str, how: str
) -> None:
    """Nothing is accepted that the next start could not know of. Put back, it goes on with it."""
    first = await shop.new()
    file, elsewhere = Path(f"{path}{suffix}"), path.with_name("elsewhere")
    file.rename(elsewhere)
    if how == "replaced":
        shutil.copy(elsewhere, file)
    with pytest.raises(StoreUnavailable, match=rf"{file} was deleted or replaced .*: put it back"):
        await shop.new()
    assert log(shop) == ["store_failing"]
    elsewhere.rename(file)
    await calm(shop)
    assert log(shop) == ["store_failing", "store_recovered"]
    second = await shop.new()
    async with opened_file(as_after_a_crash(path)) as restarted:
        assert set(restarted.waiting) == {first, second}
    await shop.check()


async def test_a_directory_that_vanishes_is_noticed(shop: Workshop, path: Path) -> None:
    """With all that is in it."""
    await shop.new()
    elsewhere = path.parent.with_name("elsewhere")
    path.parent.rename(elsewhere)
    with pytest.raises(StoreUnavailable, match="was deleted or replaced"):
        await shop.new()
    elsewhere.rename(path.parent)
    await calm(shop)
    await shop.check()


async def test_a_file_that_was_cut_off_is_noticed(shop: Workshop, path: Path) -> None:
    """It stays in trouble: a backup must be put in its place, and that takes a restart."""
    await shop.new()
    os.truncate(path, 1_000)
    with pytest.raises(StoreUnavailable, match=r"was cut off .*: put a backup in its place"):
        await shop.new()
    assert log(shop) == ["store_failing"]
    shop.store.close()
    with trio.move_on_after(0.2) as scope:
        await calm(shop)
    assert scope.cancelled_caught


async def test_a_file_is_missed_while_nothing_is_to_be_kept(
    path: Path, at_each_commit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Housekeeping looks after it, too."""
    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.01)
    async with opened_file(path) as shop:
        path.rename(path.with_name("elsewhere"))
        with trio.fail_after(20):
            while shop.store.trouble is None:
                await trio.sleep(0.01)
        path.with_name("elsewhere").rename(path)
        await calm(shop)
        assert log(shop) == ["store_failing", "store_recovered"]


def test_to_look_after_files_costs_little(path: Path) -> None:
    """Commits come thousands a second; once a second is enough."""
    file = JobFile.open(path)
    path.rename(path.with_name("elsewhere"))
    file.write(Batch())
    file.close()


def test_a_batch_of_nothing_is_written_to_the_disk(path: Path) -> None:
    """Else a full disk would seem to have room again as soon as nothing waits for it."""
    file, wal = JobFile.open(path), Path(f"{path}-wal")
    before = wal.stat().st_size
    file.write(Batch())
    assert wal.stat().st_size > before
    file.close()


def test_a_transaction_that_failed_is_not_kept_with_the_next_one(path: Path) -> None:
    """Whatever SQLite has written of it before."""
    file = JobFile.open(path)
    broken = Batch(payloads=[("1", "{}"), ("2", None)])  # type: ignore[list-item]
    with pytest.raises(sqlite3.IntegrityError):
        file.write(broken)
    file.write(Batch())
    assert file.check() == []
    file.close()
