"""That whoever works in a nursery is announced and signed off, however it ends."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from job_service.jobs.running.lifecycle import LifecycleNursery, StopReason, open_lifecycle_nursery

Behaviour = Callable[[], Awaitable[None]]


@dataclass
class Child:
    """A child of the nursery that behaves as it is told to."""

    name: str
    behaviour: Behaviour
    steps: list[str]

    async def run(self) -> None:
        """Note the first step, then behave."""
        self.steps.append(f"{self.name} runs")
        await self.behaviour()


@dataclass
class Story:
    """What the hooks and the children of one nursery did, in its order."""

    steps: list[str] = field(default_factory=list)

    def child(self, name: str, behaviour: Behaviour) -> Child:
        """A child that takes part in this story."""
        return Child(name, behaviour, self.steps)

    @asynccontextmanager
    async def nursery(self) -> AsyncIterator[LifecycleNursery[Child]]:
        """The nursery this story is about."""

        def on_start(child: Child) -> None:
            self.steps.append(f"{child.name} starts")

        def on_stop(child: Child, reason: StopReason) -> None:
            self.steps.append(f"{child.name} {reason}")

        async with open_lifecycle_nursery(on_start, on_stop) as nursery:
            yield nursery

    async def live(self, **children: Behaviour) -> None:
        """Open the nursery, start these children in it, by name, and wait for their end."""
        async with self.nursery() as nursery:
            for name, behaviour in children.items():
                await nursery.start(self.child(name, behaviour))


@pytest.fixture
def story() -> Story:
    """A story in which nothing has happened yet."""
    return Story()


async def finish() -> None:
    """End well, after a step."""
    await trio.lowlevel.checkpoint()


async def finish_at_once() -> None:
    """End well, without a checkpoint."""


async def crash() -> NoReturn:
    """End with an error, after a step."""
    await trio.lowlevel.checkpoint()
    raise ValueError("crashed")


async def crash_in_a_nursery() -> None:
    """End with an error in a group, as a nursery within the child raises it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        nursery.start_soon(trio.sleep_forever)


async def interrupt() -> NoReturn:
    """End with Ctrl+C."""
    await trio.lowlevel.checkpoint()
    raise KeyboardInterrupt


async def cancel_itself() -> None:
    """Call off a part of the own work, and end well."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await trio.sleep_forever()


async def wait_in_a_nursery() -> None:
    """Wait in two tasks; cancelled, both are."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(trio.sleep_forever)


async def raise_cancelled_in_groups() -> None:
    """Wait; cancelled, raise that within groups, as several tasks of one child can do."""
    try:
        await trio.sleep_forever()
    except trio.Cancelled as cancelled:
        within = BaseExceptionGroup("within", [cancelled])
        raise BaseExceptionGroup("without", [within, cancelled]) from None


async def fail_to_clean_up() -> None:
    """Wait; cancelled, end with an error of one task beside the cancellation of another."""
    try:
        await trio.sleep_forever()
    except trio.Cancelled as cancelled:
        within = BaseExceptionGroup("within", [ValueError("no"), cancelled])
        raise BaseExceptionGroup("without", [within, cancelled]) from None


async def crash_when_cancelled() -> None:
    """Wait; cancelled, end with an error instead."""
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("crashed")


async def finish_when_cancelled() -> None:
    """Wait; cancelled, end well all the same."""
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        return


async def test_a_child_is_announced_before_its_first_step(story: Story) -> None:
    """Whoever starts a child can rely on it being announced, and that before it does anything."""
    async with story.nursery() as nursery:
        await nursery.start(story.child("a", finish))
        assert story.steps[0] == "a starts"
    assert story.steps == ["a starts", "a runs", "a finished"]


@pytest.mark.parametrize(
    ("behaviour", "reason", "error"),
    [
        (finish, "finished", None),
        (finish_at_once, "finished", None),
        (cancel_itself, "finished", None),
        (crash, "crashed", ValueError),
        (crash_in_a_nursery, "crashed", ValueError),
        (interrupt, "crashed", KeyboardInterrupt),
    ],
)
async def test_a_child_that_ends_by_itself_is_signed_off(
    story: Story, behaviour: Behaviour, reason: str, error: type[BaseException] | None
) -> None:
    """Each hook is called once, the reason is how it ended, and its error is the nursery's."""
    raised: BaseExceptionGroup[BaseException] | None = None
    try:
        await story.live(a=behaviour)
    except BaseExceptionGroup as group:
        raised = group
    assert story.steps == ["a starts", "a runs", f"a {reason}"]
    if error is None:
        assert raised is None
    else:
        assert raised is not None
        assert raised.subgroup(error) is not None


@pytest.mark.parametrize(
    ("behaviour", "reason", "fails"),
    [
        (trio.sleep_forever, "cancelled", False),
        (wait_in_a_nursery, "cancelled", False),
        (raise_cancelled_in_groups, "cancelled", False),
        (finish_when_cancelled, "finished", False),
        (fail_to_clean_up, "crashed", True),
        (crash_when_cancelled, "crashed", True),
    ],
)
async def test_a_child_that_is_cancelled_is_signed_off(
    story: Story, behaviour: Behaviour, reason: str, fails: bool
) -> None:
    """Only what ends by nothing but its cancellation is `cancelled`; an error beside it counts."""
    failed = False
    try:
        with trio.CancelScope() as scope:
            async with story.nursery() as nursery:
                await nursery.start(story.child("a", behaviour))
                await wait_all_tasks_blocked()
                scope.cancel()
    except* ValueError:
        failed = True
    assert story.steps == ["a starts", "a runs", f"a {reason}"]
    assert failed == fails


async def test_a_child_cancelled_before_its_first_step_is_signed_off_too(story: Story) -> None:
    """Started in a nursery that is cancelled already, a child still has both its hooks called."""
    with trio.CancelScope() as scope:
        async with story.nursery() as nursery:
            scope.cancel()
            await nursery.start(story.child("a", trio.sleep_forever))
    assert story.steps == ["a starts", "a runs", "a cancelled"]


async def test_a_child_is_signed_off_after_its_last_step(story: Story) -> None:
    """A cancelled child that still has to clean up is signed off when it has."""

    async def clean_up() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            story.steps.append("a cleans up")

    with trio.CancelScope() as scope:
        async with story.nursery() as nursery:
            await nursery.start(story.child("a", clean_up))
            scope.cancel()
    assert story.steps == ["a starts", "a runs", "a cleans up", "a cancelled"]


async def test_an_error_in_one_child_cancels_the_others(story: Story) -> None:
    """The one that broke is told from those that were called off for it."""
    with pytest.raises(ExceptionGroup) as caught:
        await story.live(a=trio.sleep_forever, b=trio.sleep_forever, c=crash)
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    assert story.steps[-3] == "c crashed"
    assert sorted(story.steps[-2:]) == ["a cancelled", "b cancelled"]
    assert len(story.steps) == 9


async def test_an_error_in_the_block_cancels_the_children(story: Story) -> None:
    """Where the nursery's own block breaks, its children are called off and signed off."""
    failed = False
    try:
        async with story.nursery() as nursery:
            await nursery.start(story.child("a", trio.sleep_forever))
            raise ValueError
    except* ValueError:
        failed = True
    assert failed
    assert story.steps == ["a starts", "a runs", "a cancelled"]


async def test_children_end_in_their_own_time(story: Story) -> None:
    """One that finishes leaves the others at work, and the nursery waits for the last."""
    release = trio.Event()
    async with story.nursery() as nursery:
        await nursery.start(story.child("a", release.wait))
        await nursery.start(story.child("b", finish))
        await wait_all_tasks_blocked()
        assert story.steps[-1] == "b finished"
        assert "a finished" not in story.steps
        release.set()
    assert story.steps[-1] == "a finished"
