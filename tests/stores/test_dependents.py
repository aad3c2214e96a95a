"""What comes after another job: it is let go, or fails, when that one has ended, and not before."""

import pytest

from job_service import Draft
from tests.stores.workshop import Workshop

WAYS = ["complete", "fail", "interrupt", "call off"]


async def end(shop: Workshop, job_id: str, way: str) -> None:
    """Let a pending job end in this way."""
    match way:
        case "call off":
            await shop.store.cancel(job_id, "requested")
        case "interrupt":
            await shop.start(job_id)
            await shop.store.cancel(job_id, "requested")
            await shop.end(job_id, "cancel")
        case _:
            await shop.run(job_id, "complete" if way == "complete" else "fail")


@pytest.mark.parametrize("way", WAYS)
async def test_all_that_come_after_a_job_go_on_with_its_end(shop: Workshop, way: str) -> None:
    """However many they are, and however it ends; none is left to wait for nothing."""
    first = await shop.new()
    dependents = [await shop.new(after=(first,)) for _ in range(3)]
    await end(shop, first, way)
    for job_id in dependents:
        if way == "complete":
            assert job_id in shop.waiting
        else:
            assert (await shop.store.get(job_id)).status == "failed"
    assert (await shop.store.view()).blocked == 0


@pytest.mark.parametrize("way", WAYS)
async def test_the_end_of_a_job_is_told_before_what_follows_from_it(
    shop: Workshop, way: str
) -> None:
    """In the log, and to the runner, who must not start anything early."""
    first = await shop.new()
    second = await shop.new(after=(first,))
    told_before: list[str] = []
    add = shop.add

    def add_and_look(job: object, ready_in: float | None) -> None:
        told_before.extend(shop.told(first))
        add(job, ready_in)  # type: ignore[arg-type]  # as it came

    shop.add = add_and_look  # type: ignore[method-assign]
    await end(shop, first, way)
    if way == "complete":
        assert told_before[-1:] == ["completed"]
    else:
        ids = [getattr(event, "job_id", None) for event in shop.events]
        assert ids[-2:] == [first, second]
        assert told_before == []


async def test_a_job_that_fails_without_an_attempt_frees_its_key(shop: Workshop) -> None:
    """As one that has run does."""
    first = await shop.new()
    keyed = Draft("email", b"{}", 3, unique_key="ada", after=(first,))
    (failed,) = await shop.submit(keyed)
    await shop.store.cancel(first, "requested")
    assert (await shop.store.get(failed.id)).status == "failed"
    (new,) = await shop.submit(Draft("email", b"{}", 3, unique_key="ada"))
    assert (new.id != failed.id, new.duplicate) == (True, False)
