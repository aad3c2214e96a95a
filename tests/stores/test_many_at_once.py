"""Many jobs are changed by one call, portion by portion, as the filter says."""

from job_service import Draft
from job_service.jobs.state.job_filter import JobFilter
from job_service.stores.contract import Portion
from tests.stores.workshop import Workshop


async def test_all_that_are_meant_wait_no_longer_for_their_time(shop: Workshop) -> None:
    """Whether they are for later, or are retried; all others stay as they are."""
    later = [await shop.new(delay_seconds=600, tags=("a",)) for _ in range(3)]
    retried = await shop.new()
    await shop.run_and_forget(retried, "retry")
    (letter,) = await shop.submit(Draft("letter", b"{}", 3, delay_seconds=600))
    blocked = await shop.new(after=(letter.id,))
    done = await shop.store.run_now_all(JobFilter(types=("email",), statuses=("pending",)), "alice")
    assert (done.made_ready, done.next) == (4, None)
    for job_id in (*later, retried):
        assert shop.told(job_id)[-1] == "edited"
        assert (await shop.run(job_id)).status == "completed"
    assert "edited" not in shop.told(letter.id) + shop.told(blocked)
    await shop.store.cancel_all(JobFilter(types=("letter", "email")), "requested")


async def test_a_portion_is_of_the_newest(shop: Workshop) -> None:
    """And says where to go on."""
    ids = [await shop.new(delay_seconds=600) for _ in range(5)]
    emails = JobFilter(types=("email",), statuses=("pending", "processing"))
    first = await shop.store.cancel_all(emails, "requested", None, Portion(limit=2))
    assert (first.cancelled, first.next) == (2, ids[3])
    second = await shop.store.run_now_all(emails, None, Portion(first.next, 2))
    assert (second.made_ready, second.next) == (2, ids[1])
    rest = await shop.store.cancel_all(emails, "requested", None, Portion(second.next))
    assert (rest.cancelled, rest.next) == (1, None)
    statuses = [job.status for job in await shop.everything()]
    assert statuses == ["cancelled", "pending", "pending", "cancelled", "cancelled"]
    edited = [job_id for job_id in ids if "edited" in shop.told(job_id)]
    assert edited == ids[1:3]
    await shop.store.cancel_all(emails, "requested")


async def test_only_what_is_meant_is_called_off(shop: Workshop) -> None:
    """By a tag, an error, or whatever else jobs are sought by."""
    for tag in ("a", "b"):
        await shop.new(tags=(tag,))
    failed = await shop.new()
    await shop.run_and_forget(failed, "retry")
    done = await shop.store.cancel_all(JobFilter(tag="a"), "requested")
    assert (done.cancelled, done.interrupted) == (1, 0)
    done = await shop.store.cancel_all(JobFilter(error="NO", statuses=("pending",)), "requested")
    assert (done.cancelled, (await shop.store.get(failed)).status) == (1, "cancelled")
    assert [job.status for job in await shop.everything()] == ["cancelled", "pending", "cancelled"]
