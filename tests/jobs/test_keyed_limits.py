"""Limits may hold for each key of the payload, and keys take turns, so that each has its share."""

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from job_service import Draft, InvalidOption, InvalidPayload, Rate, Registry, Retry
from tests.conftest import Rig
from tests.jobs.steps import MakeRig, abandoned, running, virtual_clock

Autojump = trio.testing.MockClock


class Email(msgspec.Struct):
    """What a tenant sends."""

    tenant: str
    number: int = 0


class Log:
    """Who began when, and the most that ran of each key at a time."""

    def __init__(self) -> None:
        self.begun: list[tuple[float, str, int]] = []
        self.most = Counter[str]()
        self._now = Counter[str]()

    @property
    def tenants(self) -> list[str]:
        """Whose jobs began, in their order."""
        return [tenant for _, tenant, _ in self.begun]

    async def run(self, email: Email, seconds: float) -> None:
        """Be one of its jobs."""
        self.begun.append((trio.current_time(), email.tenant, email.number))
        self._now[email.tenant] += 1
        self.most[email.tenant] = max(self.most[email.tenant], self._now[email.tenant])
        try:
            await trio.sleep(seconds)
        finally:
            self._now[email.tenant] -= 1


@pytest.fixture
def log(registry: Registry) -> Log:
    """`email` may run twice for a tenant, `share` is only to be fair, `plain` has no limits."""
    log = Log()

    @registry.job("email", concurrency=2, per=lambda email: email.tenant)
    async def email(email: Email) -> None:
        await log.run(email, 5)

    @registry.job("share", per=lambda email: email.tenant)
    async def share(email: Email) -> None:
        await log.run(email, 5)

    @registry.job("plain")
    async def plain() -> None:
        log.begun.append((trio.current_time(), "plain", 0))
        await trio.sleep(5)

    return log


async def why(rig: Rig, job_id: str) -> str | None:
    """Why this job is not running now."""
    return (await rig.queue.get(job_id)).waits_because


async def test_a_limit_holds_for_each_key(
    registry: Registry, log: Log, autojump_clock: Autojump
) -> None:
    """A key whose places are taken holds up neither another key nor another type."""
    async with running(registry, workers=6, grace=1_000) as rig:
        acme = [await rig.queue.submit("email", Email("acme", n)) for n in range(6)]
        await rig.queue.submit("email", Email("duck"))
        await rig.queue.submit("plain")
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(log.tenants) == ["acme", "acme", "duck", "plain"]
        assert await why(rig, acme[2].id) == "held back: email for acme runs 2 of at most 2"
    assert log.most == {"acme": 2, "duck": 1}
    assert {when for when, tenant, _ in log.begun if tenant == "acme"} == {0, 5, 10}


async def test_keys_take_turns(registry: Registry, log: Log, autojump_clock: Autojump) -> None:
    """A tenant's hundred jobs do not hold up the three of another, though they came first."""
    async with running(registry, workers=1, queue_capacity=200, grace=1_000) as rig:
        await rig.queue.submit_all(
            [rig.queue.check("share", Email("acme", n)) for n in range(100)]
            + [rig.queue.check("share", Email("duck", n)) for n in range(3)]
        )
    assert log.tenants[:8] == ["acme"] + ["acme", "duck"] * 3 + ["acme"]
    assert [number for _, tenant, number in log.begun if tenant == "acme"] == list(range(100))


async def test_a_type_with_keys_has_no_more_turns_than_one_without(
    registry: Registry, log: Log, autojump_clock: Autojump
) -> None:
    """Between types, it is as if there were no keys, whichever of them has its turn."""
    async with running(registry, workers=1, grace=1_000) as rig:
        for job_type, tenant in (
            ("share", "acme"),
            ("share", "acme"),
            ("share", "acme"),
            ("plain", None),
            ("share", "duck"),
            ("plain", None),
        ):
            await rig.queue.submit(job_type, None if tenant is None else Email(tenant))
            await trio.sleep(0.01)
    assert log.tenants == ["acme", "acme", "duck", "plain", "acme", "plain"]


async def test_priority_comes_before_turns(
    registry: Registry, log: Log, autojump_clock: Autojump
) -> None:
    """Keys take turns among jobs of one priority."""
    async with running(registry, workers=1, grace=1_000) as rig:
        await rig.queue.submit("plain")
        await trio.testing.wait_all_tasks_blocked()
        for n in range(3):
            await rig.queue.submit("share", Email("acme", n), priority=1)
        await rig.queue.submit("share", Email("duck"))
    assert log.tenants == ["plain", "acme", "acme", "acme", "duck"]


@pytest.fixture
def rated(registry: Registry) -> list[float]:
    """When jobs began of which three may start in any 10 seconds; `plain` has no limits."""
    begun: list[float] = []

    @registry.job("call", rate=Rate(3, per_seconds=10), retry=Retry(max_retries=0))
    async def call(seconds: float = 0) -> None:
        begun.append(trio.current_time())
        await trio.sleep(seconds)

    @registry.job("plain")
    async def plain() -> None:
        await trio.lowlevel.checkpoint()

    return begun


async def test_what_a_rate_lets_start_too_late_is_not_waited_for(
    registry: Registry, rated: list[float], autojump_clock: Autojump
) -> None:
    """At a stop, what may start within the grace does, and then all is over."""
    async with running(registry, workers=6, grace=15) as rig:
        for _ in range(7):
            await rig.queue.submit("call")
    assert (rated, trio.current_time()) == ([0, 0, 0, 10, 10, 10], 10)
    assert abandoned(rig) == [("call", "not_due_in_time", False)]


async def test_a_rate_holds_in_any_time_of_its_length(
    registry: Registry, rated: list[float], autojump_clock: Autojump
) -> None:
    """So many start at once; then each starts as soon as the start of one is long enough ago."""
    async with running(registry, workers=6, grace=1_000) as rig:
        await rig.queue.submit("call")
        await trio.sleep(4)
        for _ in range(7):
            await rig.queue.submit("call")
    assert rated == [0, 4, 4, 10, 14, 14, 20, 24]


async def test_a_rate_holds_up_nobody_else_and_says_why(
    registry: Registry, rated: list[float], autojump_clock: Autojump
) -> None:
    """Behind those that may not start yet, others find the workers free."""
    async with running(registry, workers=2, grace=1_000) as rig:
        for _ in range(3):
            await rig.queue.submit("call")
        await trio.sleep(6.5)
        held = await rig.queue.submit("call", priority=0)
        plain = await rig.queue.submit("plain", priority=9)
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.queue.get(plain.id)).status == "completed"
        reason = "held back: the rate of 3 per 10 s of call is reached; next in 4 s"
        assert await why(rig, held.id) == reason
    assert rated == [0, 0, 0, 10]


async def test_a_start_counts_from_when_it_was_and_not_from_when_it_was_let_through(
    registry: Registry, rated: list[float], autojump_clock: Autojump
) -> None:
    """One that was called off on its way to a worker does not count at all."""
    async with running(registry, workers=6, grace=1_000) as rig:
        await trio.testing.wait_all_tasks_blocked()
        jobs = await rig.queue.submit_all([rig.queue.check("call")] * 4)
        await rig.queue.cancel(jobs[0].id)
        await trio.testing.wait_all_tasks_blocked()
        assert rated == [0, 0, 0]


async def test_a_rate_may_hold_for_each_key(registry: Registry, autojump_clock: Autojump) -> None:
    """What one has used up, another has not."""
    begun = defaultdict[str, list[float]](list)

    @registry.job("call", rate=Rate(1, per_seconds=10), per=lambda tenant: tenant)
    async def call(tenant: str) -> None:
        begun[tenant].append(trio.current_time())

    async with running(registry, workers=6, grace=1_000) as rig:
        for _ in range(3):
            await rig.queue.submit("call", "acme")
        await trio.sleep(3)
        for _ in range(2):
            await rig.queue.submit("call", "duck")
        held = (await rig.queue.list(status="pending"))[0]
        reason = "held back: the rate of 1 per 10 s of call for acme is reached; next in 7 s"
        assert await why(rig, held.id) == reason
    assert begun == {"acme": [0, 10, 20], "duck": [3, 13]}


async def test_a_retry_is_a_start_as_well(registry: Registry, autojump_clock: Autojump) -> None:
    """Whatever is called too often is called by retries, too."""
    begun: list[float] = []

    @registry.job("call", rate=Rate(1, per_seconds=10), retry=Retry(2, base_seconds=0, jitter=0))
    async def call() -> None:
        begun.append(trio.current_time())
        raise ValueError

    async with running(registry, workers=2, grace=1_000) as rig:
        await rig.queue.submit("call")
        await trio.sleep(25)
    assert begun == [0, 10, 20]


async def test_what_is_over_takes_no_memory(
    registry: Registry, log: Log, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """Keys are forgotten with their last job, or when their last start counts no more."""

    @registry.job("call", rate=Rate(5, per_seconds=10), per=str)
    async def call(_: int) -> None:
        await trio.lowlevel.checkpoint()

    rig = make_rig(workers=4, clock=virtual_clock(), queue_capacity=1_000)
    await rig.start()
    for n in range(200):
        await rig.queue.submit("email", Email(f"tenant {n}"))
        await rig.queue.submit("call", n)
    await trio.sleep(1_000)
    for queue in rig.engine._dispatcher._backlog._own.values():
        assert not queue._groups  # type: ignore[union-attr]
    rig.engine.stop("told to")


async def test_thousands_of_keys_hold_nobody_up(
    registry: Registry, make_rig: MakeRig, mock_clock: Autojump
) -> None:
    """If the starts of many keys cease to count at once, others have their turns meanwhile."""
    keys = 2_000

    @registry.job("call", rate=Rate(1, per_seconds=10), per=str)
    async def call(_: int) -> None:
        pass

    rig = make_rig(workers=4, clock=virtual_clock(), queue_capacity=keys)
    await rig.start()
    await rig.queue.submit_all([rig.queue.check("call", number) for number in range(keys)])
    await trio.testing.wait_all_tasks_blocked()
    groups: Any = rig.engine._dispatcher._backlog._own["call"]._groups  # type: ignore[union-attr]
    left = [len(groups)]
    mock_clock.jump(10)
    while left[-1] and len(left) < keys:
        await trio.lowlevel.checkpoint()
        left.append(len(groups))
    assert (left[0], left[-1]) == (keys, 0)
    assert max(before - after for before, after in pairwise(left)) <= 400  # two portions in a row
    rig.engine.stop("told to")


async def test_an_int_is_a_key_as_well(
    registry: Registry, make_rig: MakeRig, autojump_clock: Autojump
) -> None:
    """It is the same key as its text."""
    registry.job("count", per=lambda n: n)(lambda n: n)
    rig = make_rig()
    assert rig.queue.check("count", 7).limit_key == rig.queue.check("count", "7").limit_key == "7"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "limit_key must be a text of 1 to 255 characters"),
        (7, "limit_key must be a text of 1 to 255 characters"),
        ("\ud800", "limit_key must be Unicode text"),
    ],
)
async def test_a_draft_that_was_made_by_hand_needs_a_key_that_can_be_one(
    key: Any, problem: str, registry: Registry, make_rig: MakeRig
) -> None:
    """Nobody calls `per` for it."""
    rig = make_rig()
    with pytest.raises(InvalidOption, match=problem):
        await rig.queue.submit_all([Draft("email", b"null", 0, limit_key=key)])


def _raises(_: object) -> str:
    raise KeyError("tenant")


@pytest.mark.parametrize(
    ("per", "problem"),
    [
        (_raises, r"its limit key can't be told: KeyError: 'tenant'"),
        (lambda _: None, "its limit key must be a text or a whole number, not NoneType"),
        (lambda _: True, "its limit key must be a text or a whole number, not bool"),
        (lambda _: 1.5, "its limit key must be a text or a whole number, not float"),
        (lambda _: "", "its limit key must have 1 to 255 characters, not 0"),
        (lambda _: "x" * 256, "its limit key must have 1 to 255 characters, not 256"),
        (lambda _: "\ud800", "its limit key can't be written as text"),
        (lambda _: 10**5_000, "its limit key can't be written as text"),
    ],
)
async def test_a_payload_without_a_key_is_refused(
    per: Callable[[Any], Any], problem: str, registry: Registry, make_rig: MakeRig
) -> None:
    """When it is submitted, as any payload that can't work."""
    registry.job("email", per=per)(lambda payload: payload)
    rig = make_rig()
    with pytest.raises(InvalidPayload, match=problem):
        await rig.queue.submit("email", {})


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ({"per": "tenant"}, "per must be a plain function of the payload"),
        ({"per": test_keys_take_turns}, "per must be a plain function of the payload"),
        ({"per": lambda: "acme"}, "per must take one argument, the payload"),
        ({"rate": 100}, "rate must be a Rate, such as"),
    ],
)
def test_terms_that_cannot_work_are_refused(
    terms: dict[str, Any], problem: str, registry: Registry
) -> None:
    """At registration, in one line."""
    with pytest.raises(TypeError, match=f"^{problem}"):
        registry.job("wrong", **terms)


def test_keys_need_a_payload(registry: Registry) -> None:
    """A handler that takes none has nothing to look at."""
    with pytest.raises(TypeError, match="per has no payload to look at"):

        @registry.job("wrong", per=str)
        def handler() -> None: ...


@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        ((0, 1), ValueError, "starts must be between 1 and 100000, not 0"),
        ((1.5, 1), TypeError, "starts must be an integer"),
        ((1, 0), ValueError, "per_seconds must be above 0, up to 86400, not 0"),
        ((1, "60"), TypeError, "per_seconds must be a number of seconds"),
    ],
)
def test_a_rate_checks_itself(
    arguments: tuple[Any, Any], error: type[Exception], problem: str
) -> None:
    """A bad number fails where it is written."""
    with pytest.raises(error, match=f"^{problem}"):
        Rate(*arguments)


def test_the_payload_of_a_schedule_needs_a_key(registry: Registry) -> None:
    """Otherwise each tick would be refused."""
    with pytest.raises(InvalidPayload, match="its limit key"):

        @registry.every(60, payload={}, per=lambda payload: payload["tenant"])
        def nightly(payload: dict[str, str]) -> None: ...
