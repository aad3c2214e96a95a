"""Group commit: in which order changes are kept and told, and what comes of it if that fails."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from job_service.errors import StoreUnavailable
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import Draft, Job
from job_service.jobs.state.transitions import create
from job_service.stores.commit import (
    FIRST_RETRY_SECONDS,
    LONGEST_RETRY_SECONDS,
    MOST_JOBS,
    STALLED_SECONDS,
    CannotKeep,
    Committer,
)
from job_service.stores.unit_of_work import UnitOfWork
from job_service.telemetry.events import Event, StoreCommitted, StoreFailed, StoreRecovered

CLOCK = Clock(monotonic=trio.current_time)


class Disk:
    """What a committer keeps its units on: each transaction, as the names of its units.

    `lock` is held by a test that wants transactions to take their time.
    """

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.under_way = 0
        self.error: str | None = None
        self.tries: list[float] = []
        self.transactions: list[list[str]] = []
        self.told: list[str] = []
        self.listener: Callable[[str], object] = lambda _: None
        self.events: list[Event] = []
        self.committer = Committer(self.keep, self.tell, refuse, self.events.append, CLOCK)

    async def keep(self, units: Sequence[UnitOfWork]) -> None:
        """One transaction."""
        names = [name_of(unit) for unit in units]
        assert self.under_way == 0, "one at a time"
        self.under_way += 1
        try:
            self.tries.append(trio.current_time())
            async with self.lock:
                if self.error is not None:
                    raise CannotKeep(self.error)
                self.transactions.append(names)
        finally:
            self.under_way -= 1

    def tell(self, unit: UnitOfWork) -> None:
        """It is kept."""
        self.told.append(name_of(unit))
        self.listener(name_of(unit))

    def add(self, *names: str, jobs: Sequence[Job] = (), is_submission: bool = False) -> None:
        """Units that change something."""
        for name in names:
            unit = UnitOfWork()
            unit.jobs = {job.id: job for job in jobs}
            unit.beside, unit.is_submission = [name], is_submission
            self.committer.add(unit)

    def words(self) -> list[str]:
        """What the log says."""
        return [event.event for event in self.events if event.logged]

    def count(self, kind: type[Event]) -> int:
        """How many events there are of a kind."""
        return sum(isinstance(event, kind) for event in self.events)


def refuse(units: deque[UnitOfWork]) -> None:
    """Withdraw submissions."""
    for unit in [unit for unit in units if unit.is_submission]:
        units.remove(unit)


def name_of(unit: UnitOfWork) -> str:
    """As the test calls it."""
    return str(unit.beside[0]) if unit.beside else "nothing"


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    """One that keeps all until the test says otherwise."""
    async with trio.open_nursery() as nursery:
        disk = Disk()
        nursery.start_soon(disk.committer.run)
        yield disk
        nursery.cancel_scope.cancel()


class Answer:
    """What became of a call that waited."""

    def __init__(self, nursery: trio.Nursery, call: Callable[[], object]) -> None:
        self.said: str | None = None
        nursery.start_soon(self._wait, call)

    async def _wait(self, call: Callable[[], object]) -> None:
        try:
            await call()  # type: ignore[misc]  # any of two methods
        except StoreUnavailable as error:
            self.said = str(error)
        else:
            self.said = "kept"


async def test_acts_are_kept_and_told_in_their_order(disk: Disk, autojump_clock: MockClock) -> None:
    """While one transaction is written, the next gathers, and takes all that came."""
    async with disk.lock:
        disk.add("one")
        await wait_all_tasks_blocked()
        disk.add("two", "three")
        await wait_all_tasks_blocked()
        assert disk.told == []
    await disk.committer.settled()
    assert disk.transactions == [["one"], ["two", "three"]]
    assert disk.told == ["one", "two", "three"]


async def test_an_act_that_is_not_the_last_one_in_line_takes_in_no_more(
    disk: Disk, autojump_clock: MockClock
) -> None:
    """What is done later is told later, whoever has added what is in between."""
    async with disk.lock:
        disk.add("under way")
        await wait_all_tasks_blocked()
        unit = UnitOfWork()
        unit.beside = ["open"]
        unit.is_open = disk.committer.add(unit)
        assert unit.is_open
        disk.add("another")
        assert not unit.is_open


async def test_a_transaction_has_a_bound_but_a_call_is_not_torn(
    disk: Disk, autojump_clock: MockClock
) -> None:
    """What one call has changed is kept at once, even if that is more."""
    jobs = [create(Draft("email", b"{}", 3), CLOCK).job for _ in range(MOST_JOBS + 1)]
    async with disk.lock:
        disk.add("first")
        await wait_all_tasks_blocked()
        disk.add("small", jobs=jobs[:1])
        disk.add("large", jobs=jobs)
        disk.add("small again", jobs=jobs[:1])
    await disk.committer.settled()
    assert disk.transactions == [["first"], ["small"], ["large"], ["small again"]]


async def test_what_need_not_be_kept_is_told_at_once_but_not_out_of_turn(
    disk: Disk, autojump_clock: MockClock
) -> None:
    """It costs no transaction."""
    disk.committer.add(UnitOfWork())
    assert disk.told == ["nothing"]
    async with disk.lock:
        disk.add("one")
        disk.committer.add(UnitOfWork())
        await wait_all_tasks_blocked()
        assert disk.told == ["nothing"]
    await disk.committer.settled()
    assert disk.told == ["nothing", "one", "nothing"]
    disk.committer.add(UnitOfWork())
    assert disk.told[-1] == "nothing"


async def test_who_waits_hears_of_what_was_done_before_and_not_of_what_comes(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """However much comes in meanwhile."""
    now, later = disk.lock, trio.Lock()
    await now.acquire()
    disk.add("one")
    waits, settles = (
        Answer(nursery, disk.committer.kept),
        Answer(nursery, disk.committer.settled),
    )
    await wait_all_tasks_blocked()
    disk.add("two")
    assert (waits.said, settles.said) == (None, None)
    disk.lock = later
    await later.acquire()
    now.release()
    await wait_all_tasks_blocked()
    assert (waits.said, settles.said) == ("kept", "kept")
    assert disk.told == ["one"]
    later.release()


async def test_trouble_is_told_once_at_each_edge_however_often_it_is_tried(
    disk: Disk, autojump_clock: MockClock
) -> None:
    """The first tries come soon, and later ones every two seconds; nothing overtakes."""
    disk.error = "disk full"
    disk.add("one")
    await trio.sleep(20)
    assert disk.words() == ["store_failing"]
    assert disk.committer.trouble == "disk full"
    assert disk.count(StoreFailed) == len(disk.tries)
    pauses = [later - sooner for sooner, later in zip(disk.tries, disk.tries[1:], strict=False)]
    doubled = [FIRST_RETRY_SECONDS * 2**n for n in range(len(pauses))]
    assert pauses == pytest.approx([min(each, LONGEST_RETRY_SECONDS) for each in doubled])
    disk.add("two")
    disk.error = None
    await trio.sleep(LONGEST_RETRY_SECONDS)
    assert disk.words() == ["store_failing", "store_recovered"]
    assert disk.committer.trouble is None
    assert disk.transactions == [["one", "two"]]
    assert disk.told == ["one", "two"]
    recovered = next(event for event in disk.events if isinstance(event, StoreRecovered))
    assert 20 <= recovered.failing_seconds <= 22
    assert disk.count(StoreCommitted) == 1


async def test_trouble_withdraws_submissions_and_keeps_all_else(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """All who wait are refused at once, and those who come later before they have done anything."""
    async with disk.lock:
        disk.add("before")
        await wait_all_tasks_blocked()
        disk.add("a job", is_submission=True)
        submits = Answer(nursery, disk.committer.kept)
        await wait_all_tasks_blocked()
        disk.add("an end")
        reads = Answer(nursery, disk.committer.kept)
        await wait_all_tasks_blocked()
        disk.error = "disk full"
    await wait_all_tasks_blocked()
    assert submits.said == reads.said == "the store can't keep anything now: disk full"
    with pytest.raises(StoreUnavailable, match="disk full") as refused:
        await disk.committer.kept()
    assert refused.value.retry_after_seconds > 0
    disk.error = None
    await disk.committer.settled()
    assert disk.told == ["before", "an end"]


async def test_a_disk_that_does_not_answer_is_trouble_until_it_does(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What it is about to keep may be kept yet, so only what came later is refused."""
    async with disk.lock:
        disk.add("a job", is_submission=True)
        first = Answer(nursery, disk.committer.kept)
        await wait_all_tasks_blocked()
        disk.add("an end")
        disk.add("another job", is_submission=True)
        second = Answer(nursery, disk.committer.kept)
        await trio.sleep(STALLED_SECONDS)
        disk.committer.require_no_trouble()
        await trio.sleep(1)
        why = "it has not answered for 11 seconds"
        with pytest.raises(StoreUnavailable, match=why):
            disk.committer.require_no_trouble()
        assert disk.words() == ["store_failing"]
        await wait_all_tasks_blocked()
        assert (first.said, second.said) == (None, f"the store can't keep anything now: {why}")
        await trio.sleep(100)
        disk.add("another end")
    await disk.committer.settled()
    assert first.said == "kept"
    assert disk.words() == ["store_failing", "store_recovered"]
    assert disk.told == ["a job", "an end", "another end"]


async def test_a_disk_that_answers_late_with_an_error_has_kept_nothing(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Now all submissions are refused, and the rest is tried again."""
    async with disk.lock:
        disk.add("a job", is_submission=True)
        disk.add("an end")
        submits = Answer(nursery, disk.committer.kept)
        await trio.sleep(2 * STALLED_SECONDS)
        assert disk.committer.trouble == "it has not answered for 20 seconds"
        disk.error = "disk full"
    await trio.sleep(1)
    assert submits.said == "the store can't keep anything now: disk full"
    disk.error = None
    await disk.committer.settled()
    assert disk.told == ["an end"]
    assert disk.words() == ["store_failing", "store_recovered"]


async def test_who_settles_is_not_refused_by_trouble(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It is over when all is kept that is still to be kept."""
    async with disk.lock:
        disk.add("an end")
        await wait_all_tasks_blocked()
        disk.add("a job", is_submission=True)
        settles = Answer(nursery, disk.committer.settled)
        await wait_all_tasks_blocked()
        disk.error = "disk full"
    await trio.sleep(10)
    assert settles.said is None
    disk.error = None
    await trio.sleep(LONGEST_RETRY_SECONDS)
    assert settles.said == "kept"


async def test_who_waits_after_trouble_is_not_refused_for_it(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Though what it waits for was in line when the trouble began."""
    jobs = [create(Draft("email", b"{}", 3), CLOCK).job for _ in range(MOST_JOBS)]
    disk.error = "disk full"
    disk.add("large", jobs=jobs)
    disk.add("behind", jobs=jobs[:1])
    refused = Answer(nursery, disk.committer.kept)
    await trio.sleep(1)
    assert refused.said == "the store can't keep anything now: disk full"
    answers: list[Answer] = []
    disk.listener = lambda _: answers.append(Answer(nursery, disk.committer.kept))
    disk.error = None
    await disk.committer.settled()
    await wait_all_tasks_blocked()
    assert disk.told == ["large", "behind"]
    assert [answer.said for answer in answers] == ["kept", "kept"]


async def test_trouble_goes_on_until_something_can_be_kept(
    disk: Disk, autojump_clock: MockClock
) -> None:
    """Though all that was to be kept was withdrawn: it is tried with nothing."""
    disk.error = "disk full"
    disk.add("a job", is_submission=True)
    await trio.sleep(5)
    assert disk.words() == ["store_failing"]
    disk.error = None
    await trio.sleep(LONGEST_RETRY_SECONDS)
    assert disk.words() == ["store_failing", "store_recovered"]
    assert disk.transactions == [[]]
    assert disk.told == []


async def test_the_end_is_a_reason_to_try_at_once(disk: Disk, autojump_clock: MockClock) -> None:
    """Nobody is to hear that it could not be kept because a pause was not over."""
    disk.error = "disk full"
    disk.add("one")
    await trio.sleep(20)
    tries = len(disk.tries)
    with trio.move_on_after(0.01) as scope:
        await disk.committer.settled()
    assert scope.cancelled_caught
    assert len(disk.tries) == tries + 1
    disk.error = None
    with trio.fail_after(0.01):
        await disk.committer.settled()
    assert disk.told == ["one"]


async def test_nothing_is_kept_after_the_end_and_nobody_waits_for_it(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What is in line is given to whoever ends it, and no word follows that it was kept."""
    disk.error = "disk full"
    disk.add("one", "two")
    settles = Answer(nursery, disk.committer.settled)
    await trio.sleep(1)
    left = disk.committer.close()
    assert [name_of(unit) for unit in left] == ["one", "two"]
    await wait_all_tasks_blocked()
    assert settles.said == "kept"  # or never, which is known to whoever called `close`
    with pytest.raises(StoreUnavailable):
        await disk.committer.kept()
    disk.error = None
    await trio.sleep(10)
    assert (disk.transactions, disk.told) == ([], [])
    assert disk.words() == ["store_failing"]


async def test_who_waits_at_the_end_is_refused(
    disk: Disk, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It is not known whether that will be kept."""
    async with disk.lock:
        disk.add("one")
        waits = Answer(nursery, disk.committer.kept)
        await wait_all_tasks_blocked()
        disk.committer.close()
        await wait_all_tasks_blocked()
        assert waits.said == "the store can't keep anything now: it is closed"
    await wait_all_tasks_blocked()
    assert disk.told == []
