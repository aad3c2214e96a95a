"""One thread has the file. A call that takes long lets others in between, and ends with it."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.testing

from job_service import StoreUnavailable
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import JobFile


@pytest.fixture
async def thread(tmp_path: Path) -> AsyncIterator[FileThread]:
    """It has a file."""
    thread = FileThread(lambda: closing(JobFile.open(tmp_path / "jobs.db")))
    await thread.start()
    yield thread
    await thread.close(10)


async def test_a_call_that_takes_long_lets_others_in_between(thread: FileThread) -> None:
    """As a backup does: a commit need not wait for its end."""
    done = list[str]()

    def take_long(file: JobFile) -> None:
        while not done:
            thread.do_what_waits(file)
        done.append("long")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.call, take_long)
        await trio.testing.wait_all_tasks_blocked()
        await thread.call(lambda _: done.append("short"))
    assert done == ["short", "long"]


async def test_a_call_that_takes_long_is_given_up_at_the_end(thread: FileThread) -> None:
    """A stop does not wait for a backup; whoever waits for that hears of it."""

    def take_long(file: JobFile) -> None:
        while True:
            thread.do_what_waits(file)

    async def hear() -> None:
        with pytest.raises(StoreUnavailable, match="the store is being closed"):
            await thread.call(take_long)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear)
        await trio.testing.wait_all_tasks_blocked()
        await thread.close(10)
