"""A job as it is kept: nothing of it is lost on the way to a text and back."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_service.jobs.state.attempt_transitions import complete
from job_service.stores.record import JobRecord, decode, encode, record_of, restore
from tests.stores.workshop import Workshop

texts = st.text(st.characters(codec="utf-8"), max_size=20)
payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
).map(lambda payload: msgspec.json.encode(payload))


@pytest.mark.slow
@given(
    payload=payloads,
    key=st.none() | texts,
    error=texts,
    after=st.lists(texts, max_size=3).map(tuple),
)
def test_any_text_comes_back_as_it_was(
    payload: bytes, key: str | None, error: str, after: tuple[str, ...]
) -> None:
    """Payloads, keys and errors may have whatever JSON can carry."""
    record = msgspec.structs.replace(
        decode(SAMPLE), status="failed", unique_key=key, failure=error, after=after
    )
    twin = restore(decode(encode(record)), payload)
    assert (record_of(twin), twin.payload) == (record, payload)


async def test_a_restored_job_can_do_what_the_old_one_could(shop: Workshop) -> None:
    """Its attempt is open if it was in hand, and its numbers go on where they were."""
    job_id = await shop.new(unique_key="ada", delay_seconds=5)
    await shop.start(job_id)
    await shop.end(job_id, "snooze")
    await shop.start(job_id)
    job, _ = shop.running[job_id]

    twin = restore(decode(encode(record_of(job))), job.payload)

    assert (twin.status, twin.runs, twin.snoozes, twin.retries) == ("processing", 2, 1, 0)
    assert [attempt.outcome for attempt in twin.attempts] == ["snoozed", None]
    change = complete(twin, twin.attempts[-1], b"null", shop.clock)
    assert (change.to, change.event.job_id) == ("completed", job_id)
    await shop.end(job_id)
    for name in ("row", "meter", "ending", "awaits", "successors", "due_monotonic"):
        default = JOB_DEFAULTS[name]
        assert getattr(twin, name) == default, f"{name} is of the process, and not kept"


async def test_one_that_starts_at_once_still_does(shop: Workshop) -> None:
    """It is told from those that wait for a date."""
    now, later = await shop.new(), await shop.new(delay_seconds=5)
    for job_id, at_once in ((now, True), (later, False)):
        twin = restore(decode(encode(record_of(shop.waiting[job_id]))), b"{}")
        assert (twin.run_at is twin.created_at) == at_once


def test_the_tick_of_a_schedule_is_kept() -> None:
    """A report of a night is of that night in the next process, too; older records have none."""
    assert decode(SAMPLE).scheduled_for is None
    tick = datetime(2026, 1, 31, 3, tzinfo=UTC)
    record = msgspec.structs.replace(decode(SAMPLE), schedule="nightly", scheduled_for=tick)
    twin = restore(decode(encode(record)), b"null")
    assert (twin.schedule, twin.scheduled_for) == ("nightly", tick)


def test_who_submitted_and_changed_a_job_is_kept() -> None:
    """If they have a name; else the record has nothing of it, as older ones have not."""
    assert b"_by" not in encode(decode(SAMPLE))
    moment = datetime(2026, 1, 31, 3, tzinfo=UTC)
    told = {"submitted_by": "alice", "edits": 1, "edited_at": moment, "edited_by": "bob"}
    twin = restore(decode(encode(msgspec.structs.replace(decode(SAMPLE), **told))), b"null")
    assert {name: getattr(twin, name) for name in told} == told
    older = restore(decode(SAMPLE), b"null")
    assert (older.submitted_by, older.edited_at, older.edited_by) == (None, None, None)


def test_what_handlers_logged_is_kept() -> None:
    """Line by line, the first and the last, and how many are missing."""
    line = b'{"timestamp":"2026-01-31T12:00:00.5Z","level":"info","event":"sent","fields":{"n":1}}'
    log = b'{"first":[%b],"missing":3,"last":[%b]}' % (line, line)
    attempt = b'{"number":1,"worker_id":"w","started_at":"2026-01-31T12:00:00.1Z","log":%b}' % log
    text = SAMPLE.replace(b"}", b',"runs":1,"attempts":[%b]}' % attempt)
    twin = restore(decode(text), b"null")
    kept = twin.attempts[0].log
    assert kept is not None
    fields = kept.last[0].fields
    assert fields is not msgspec.UNSET
    assert (len(kept.first), kept.missing, bytes(fields)) == (1, 3, b'{"n":1}')
    again = restore(decode(encode(record_of(twin))), b"null").attempts[0].log
    assert msgspec.json.encode(again) == msgspec.json.encode(kept)


@pytest.mark.parametrize("change", [(b'"version":1', b'"version":2'), (b'"status":', b'"state":')])
def test_a_record_of_another_version_is_refused(change: tuple[bytes, bytes]) -> None:
    """Nobody guesses what a later program meant."""
    with pytest.raises(msgspec.ValidationError):
        decode(SAMPLE.replace(*change))


def test_what_is_kept_is_what_a_restored_job_has() -> None:
    """Each field of the record is one of the job, so that none is forgotten on the way back."""
    fields = {field.name for field in msgspec.structs.fields(JobRecord)}
    assert fields <= set(JOB_DEFAULTS)
    beside = {"payload", "result"}
    not_kept = {"row", "weight", "meter", "ending", "awaits", "successors", "is_recovered"}
    assert set(JOB_DEFAULTS) - fields == (beside | not_kept | {"due_monotonic", "ready_monotonic"})


JOB_DEFAULTS = {
    field.name: field.default for field in msgspec.structs.fields(restore.__annotations__["return"])
}
SAMPLE = (
    b'{"version":1,"id":"0199","type":"email","status":"pending",'
    b'"max_retries":3,"created_at":"2026-01-31T12:00:00.000001Z",'
    b'"run_at":"2026-01-31T12:00:00.000001Z"}'
)
