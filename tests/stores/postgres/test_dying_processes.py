"""A process that dies, stops for too long, blocks its loop or is busy: what becomes of its jobs."""

import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from subprocess import PIPE

import msgspec
import pytest
import trio

from job_service.telemetry.events import JobRescued
from tests.stores.postgres.program import registry_of
from tests.stores.postgres.service import Service, services

LEASE_SECONDS = 1.0


class Program:
    """A process of its own that takes part in the service."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []

    async def read(self) -> None:
        """Take in its lines, until it ends."""
        rest = b""
        assert self.process.stdout is not None
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            self.lines += [msgspec.json.decode(line) for line in lines]

    def said(self, event: str) -> list[dict[str, object]]:
        """Its lines of this kind."""
        return [line for line in self.lines if line["event"] == event]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


async def until(is_so: Callable[[], object]) -> None:
    """Return when this is so."""
    with trio.fail_after(60):
        while not is_so():
            await trio.sleep(0.01)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Where jobs write down that they ran."""
    path = tmp_path / "ledger"
    path.touch()
    return path


@pytest.fixture
async def start_program(
    database: str, ledger: Path
) -> AsyncIterator[Callable[[], Awaitable[Program]]]:
    """Starts a process that shares the database; it is killed when the test is over."""
    async with trio.open_nursery() as nursery:
        started: list[Program] = []

        async def start() -> Program:
            module = "tests.stores.postgres.program"
            command = [sys.executable, "-m", module, database, str(LEASE_SECONDS), str(ledger)]
            process = await trio.lowlevel.open_process(command, stdout=PIPE)
            program = Program(process)
            started.append(program)
            nursery.start_soon(program.read)
            await until(lambda: program.said("store_opened"))
            return program

        yield start
        for program in started:
            program.process.kill()
            await program.process.wait()


@pytest.fixture
async def watcher(database: str, ledger: Path) -> AsyncIterator[Service]:
    """A process that runs nothing at first, and sees all."""
    async with services(
        database, registry_of(ledger), number=1, workers=0, lease_seconds=LEASE_SECONDS
    ) as (service,):
        yield service


StartProgram = Callable[[], Awaitable[Program]]


@pytest.mark.slow
async def test_the_jobs_of_a_killed_process_are_run_by_others(
    watcher: Service, start_program: StartProgram, ledger: Path
) -> None:
    """Soon after its lease is over, each once more, and none is lost."""
    first = await start_program()
    jobs = [await watcher.queue.submit("slow", (str(n), 0.5)) for n in range(4)]
    await until(lambda: len(first.said("job_started")) == 2)
    first.signal(signal.SIGKILL)
    second = await start_program()
    ended = [await watcher.ended(job.id) for job in jobs]
    assert [job.status for job in ended] == ["completed"] * 4
    outcomes = Counter(attempt.outcome for job in ended for attempt in job.attempts)
    assert outcomes == {"completed": 4, "lost": 2}
    rescued = [*watcher.said(JobRescued), *(line["job_id"] for line in second.said("job_rescued"))]
    assert sorted(map(str, rescued)) == [job.id for job in jobs[:2]]


@pytest.mark.slow
async def test_a_long_job_holds_none_of_those_behind_it(
    watcher: Service, start_program: StartProgram
) -> None:
    """What a busy process has claimed ahead goes to one that is idle."""

    async def submit(name: str, seconds: float, priority: int, jobs: int) -> list[str]:
        draft = watcher.queue.check("slow", (name, seconds), priority=priority)
        return [job.id for job in await watcher.queue.submit_all([draft] * jobs)]

    await submit("before", 0.0, 0, 30)
    long = await submit("long", 600.0, 1, 2)
    behind = await submit("behind", 0.0, 2, 10)
    first = await start_program()
    await until(lambda: set(long) <= {line["job_id"] for line in first.said("job_started")})
    second = await start_program()
    for job_id in behind:
        assert (await watcher.ended(job_id)).status == "completed"
    assert first.said("jobs_released")
    assert {line["job_id"] for line in second.said("job_completed")} == set(behind)
    for job_id in long:
        assert (await watcher.queue.cancel(job_id)).status in ("processing", "cancelled")
        assert (await watcher.ended(job_id)).status == "cancelled"


@pytest.mark.slow
async def test_a_job_that_kills_its_process_comes_to_an_end(
    watcher: Service, start_program: StartProgram
) -> None:
    """It is lost three times, or once more if its first start left no trace."""
    job = await watcher.queue.submit("killer")
    deaths = 0
    while (await watcher.queue.get(job.id)).status != "failed":
        program = await start_program()
        with trio.move_on_after(10):
            await program.process.wait()
            deaths += 1
        assert deaths < 6
        await watcher.queue.wait(job.id, 2 * LEASE_SECONDS)
    assert deaths in (3, 4)
    error = (await watcher.queue.get(job.id)).error
    assert error == "the process ended each of the 3 times while it had this job in hand"


@pytest.mark.slow
async def test_what_a_process_did_after_its_lease_is_refused(
    watcher: Service, start_program: StartProgram, ledger: Path
) -> None:
    """It says so, is not believed, and goes on under a new name."""
    first = await start_program()
    job = await watcher.queue.submit("slow", ("it", 0.2))
    await until(lambda: first.said("job_started"))
    first.signal(signal.SIGSTOP)
    await until(lambda: watcher.said(JobRescued))
    second = await start_program()
    ended = await watcher.ended(job.id)
    first.signal(signal.SIGCONT)
    await until(lambda: first.said("job_lost"))
    assert [line["job_id"] for line in first.said("job_lost")] == [job.id]
    assert first.said("job_completed") == []
    assert ended.status == "completed"
    assert await watcher.queue.get(job.id) == ended
    assert len(second.said("job_completed")) == 1
    second.process.kill()
    again = await watcher.queue.submit("slow", ("another", 0.0))
    assert (await watcher.ended(again.id)).status == "completed"


@pytest.mark.slow
async def test_a_process_whose_loop_is_blocked_keeps_its_jobs(
    watcher: Service, start_program: StartProgram, ledger: Path
) -> None:
    """A thread renews its lease."""
    program = await start_program()
    job = await watcher.queue.submit("blocker", 3 * LEASE_SECONDS)
    ended = await watcher.ended(job.id)
    assert (ended.status, ended.attempt) == ("completed", 1)
    assert not watcher.said(JobRescued)
    assert not program.said("job_rescued")
    assert ledger.read_text() == "blocks\nblocks no more\n"
