"""What a client says, and how it goes on: without a service, a socket or a clock."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec import UNSET

from job_service import errors
from job_service.client import Submission
from job_service.client.answers import (
    ALREADY_FINISHED,
    NOT_FINISHED,
    NOT_PENDING,
    WAITS_FOR_JOBS,
    error_of,
)
from job_service.client.calls import Calls
from job_service.client.calls.batches import PORTION_BYTES, PORTION_JOBS
from job_service.client.exchange import Answer, Conversation, NoAnswer, Request
from job_service.errors import (
    AlreadyFinished,
    BatchTooLarge,
    GroupConflict,
    JobServiceError,
    NotFinished,
    NotPending,
    QueueClosed,
    QueueFull,
    StoreUnavailable,
    UnexpectedAnswer,
    UnknownJob,
    Unreachable,
    WaitsForJobs,
)
from job_service.jobs.state.views import Cancellations
from job_service.web.error_refusals import OF_ERRORS
from job_service.web.problems import Problem
from job_service.web.refusals import (
    BUG,
    NO_TOKEN,
    NOT_READY,
    TOO_LARGE,
    TOO_MANY_UPLOADS,
    Refusal,
)

T = TypeVar("T")

JOB = {
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "type": "mail",
    "status": "pending",
    "created_at": "2026-11-28T12:00:00.5Z",
    "max_retries": 3,
}
DETAIL = {**JOB, "payload": None, "attempts": []}
ENDED = {**DETAIL, "status": "completed", "result": 1}

REFUSED = NoAnswer(why="nobody is there", may_have_arrived=False, seconds=0.1)
LOST = NoAnswer(why="the line broke", may_have_arrived=True, seconds=0.1)


def answer(status: int, body: Any = None, seconds: float = 0.1, **headers: str) -> Answer:
    """What the service says."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=msgspec.json.encode(body), seconds=seconds)


def problem(status: int, kind: str, **headers: Any) -> Answer:
    """A problem of the service."""
    return answer(status, {"type": f"/problems/{kind}", "detail": "no luck"}, **headers)


class Talk:
    """A conversation, led by the answers that it is given; `requests` are those it made."""

    def __init__(self, *answers: Answer | NoAnswer) -> None:
        self._answers = iter(answers)
        self.requests: list[Request] = []

    def lead(self, conversation: Conversation[T]) -> T:
        """What it comes to."""
        request = next(conversation)
        while True:
            self.requests.append(request)
            try:
                request = conversation.send(next(self._answers))
            except StopIteration as ending:
                assert next(self._answers, None) is None, "it did not want to know all"
                result: T = ending.value
                return result

    @property
    def pauses(self) -> list[float]:
        """How long it waited before each request."""
        return [request.pause_seconds for request in self.requests]


CALLS = Calls(patience_seconds=30, timeout_seconds=10)


@pytest.mark.parametrize(
    "trouble",
    [
        REFUSED,
        LOST,
        problem(429, "queue-full"),
        problem(503, "draining"),
        problem(503, "store-unavailable"),
        answer(502, "from a proxy"),
        answer(408),
    ],
    ids=["refused", "lost", "full", "draining", "store", "proxy", "slow"],
)
def test_a_submission_is_repeated_as_it_was(trouble: Answer | NoAnswer) -> None:
    """With the same key, so that no second job is made."""
    talk = Talk(trouble, trouble, answer(201, JOB))
    job = talk.lead(CALLS.submit("mail", {"to": "ada"}, None, {"priority": 2}))
    assert job.id == JOB["id"]
    first, *others = talk.requests
    assert msgspec.json.decode(first.body or b"") == {
        "type": "mail",
        "payload": {"to": "ada"},
        "priority": 2,
    }
    assert len(first.headers["Idempotency-Key"]) == 36
    assert [other.headers for other in others] == [first.headers] * 2
    assert [other.body for other in others] == [first.body] * 2
    assert talk.pauses[0] == 0
    assert all(0 < pause < 1 for pause in talk.pauses[1:])


def test_it_comes_back_when_the_service_says() -> None:
    """Not earlier, and only little later."""
    talk = Talk(problem(503, "draining", retry_after="10"), answer(201, JOB))
    talk.lead(CALLS.submit("mail", None, None, {}))
    assert 10 <= talk.pauses[1] <= 12


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (problem(429, "queue-full", retry_after="20"), QueueFull),
        (problem(503, "draining", retry_after="20"), QueueClosed),
        (problem(503, "store-unavailable", retry_after="20"), StoreUnavailable),
        (answer(503, "too many connections", retry_after="20"), Unreachable),
        (answer(429, "too many requests", retry_after="20"), Unreachable),  # of a proxy
    ],
)
def test_when_patience_is_over_the_last_refusal_is_raised(
    last: Answer, error: type[Exception]
) -> None:
    """The caller learns what kept the service from taking the job."""
    slow = msgspec.structs.replace(last, seconds=25.0)
    with pytest.raises(error):
        Talk(last, slow).lead(CALLS.submit("mail", None, None, {}))
    with pytest.raises(error):
        Talk(last).lead(Calls(5, 10).submit("mail", None, None, {}))


def test_a_proxy_that_says_at_once_is_not_asked_without_a_pause() -> None:
    """Or it would get as many requests as a machine can send."""
    talk = Talk(*[answer(429, retry_after="0")] * 3, answer(201, JOB))
    talk.lead(CALLS.submit("mail", None, None, {}))
    assert all(pause >= 0.1 for pause in talk.pauses[1:])


def test_a_service_that_is_away_for_too_long_is_unreachable() -> None:
    """The pauses grow up to two seconds, and all of them together end with patience."""
    away = [msgspec.structs.replace(REFUSED, seconds=2.0)] * 16
    talk = Talk(*away)
    with pytest.raises(Unreachable, match="nobody is there"):
        talk.lead(CALLS.get("job-1"))
    assert all(1 <= pause <= 2 for pause in talk.pauses[6:])
    with pytest.raises(Unreachable):
        Talk(REFUSED).lead(Calls(0, 10).get("job-1"))


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500])
def test_what_will_not_change_is_not_repeated(status: int) -> None:
    """It is raised at once."""
    with pytest.raises(JobServiceError):
        Talk(answer(status, {"detail": "no luck"})).lead(CALLS.submit("mail", None, None, {}))


def test_a_backup_is_not_made_twice() -> None:
    """Only if nobody was there it is asked for again."""
    made = answer(200, {"path": "/copy.db", "bytes": 5})
    assert Talk(REFUSED, made).lead(CALLS.back_up("/copy.db")) == 5
    with pytest.raises(Unreachable, match="the line broke"):
        Talk(LOST).lead(CALLS.back_up("/copy.db"))


def test_a_wait_goes_on_until_the_job_has_ended() -> None:
    """However long that takes, in polls that no proxy cuts off."""
    polls = [answer(200, DETAIL, seconds=30.0)] * 5
    talk = Talk(*polls, answer(200, ENDED))
    assert talk.lead(CALLS.wait("job-1", None)).status == "completed"
    assert {request.query["wait"] for request in talk.requests} == {"30.000"}
    assert {request.timeout_seconds for request in talk.requests} == {40}


def test_a_wait_ends_with_its_time() -> None:
    """And the job is told as it is then."""
    talk = Talk(*[answer(200, DETAIL, seconds=30.0)] * 2, answer(200, DETAIL, seconds=5.0))
    assert talk.lead(CALLS.wait("job-1", 65)).status == "pending"
    assert [request.query["wait"] for request in talk.requests] == ["30.000", "30.000", "5.000"]


def test_a_wait_outlasts_a_restart() -> None:
    """The time that the service is away counts, and an answer before its time is no busy loop."""
    early = answer(200, DETAIL, seconds=2.0)  # from a service that ends
    talk = Talk(early, REFUSED, REFUSED, answer(200, ENDED))
    assert talk.lead(CALLS.wait("job-1", 60)).status == "completed"
    assert talk.requests[1].query["wait"] == "30.000"
    assert talk.pauses[1] == 1
    with pytest.raises(UnknownJob):  # of a service that keeps jobs in memory
        Talk(early, REFUSED, problem(404, "unknown-job")).lead(CALLS.wait("job-1", 60))


def test_a_job_is_submitted_and_waited_for_in_one_call_if_it_is_quick() -> None:
    """Else it is waited for like any other."""
    talk = Talk(answer(201, ENDED))
    job = talk.lead(CALLS.submit_and_wait("mail", None, 20, "key", {}))
    assert (bytes(job.result or b""), talk.requests[0].query["wait"]) == (b"1", "20.000")
    assert talk.requests[0].headers["Idempotency-Key"] == "key"
    talk = Talk(answer(201, DETAIL, seconds=30), LOST, answer(200, ENDED))
    assert talk.lead(CALLS.submit_and_wait("mail", None, None, None, {})).status == "completed"
    assert [request.method for request in talk.requests] == ["POST", "GET", "GET"]
    talk = Talk(answer(201, DETAIL, seconds=20))
    assert talk.lead(CALLS.submit_and_wait("mail", None, 20, None, {})).status == "pending"


def test_a_repeated_submission_whose_job_is_no_longer_kept_is_unknown() -> None:
    """There is no result that could be told."""
    talk = Talk(answer(201, {**JOB, "status": "completed"}), problem(404, "unknown-job"))
    with pytest.raises(UnknownJob):
        talk.lead(CALLS.submit_and_wait("mail", None, 20, "key", {}))


def test_a_cancellation_whose_answer_was_lost_is_no_error() -> None:
    """But one of a job that had ended before is."""
    conflict = answer(409, {"type": ALREADY_FINISHED, "detail": "no luck"})
    cancelled = answer(200, {**DETAIL, "status": "cancelled"})
    assert Talk(LOST, conflict, cancelled).lead(CALLS.cancel("job-1")).status == "cancelled"
    with pytest.raises(AlreadyFinished, match="is already cancelled"):
        Talk(conflict, cancelled).lead(CALLS.cancel("job-1"))
    with pytest.raises(AlreadyFinished, match="is already completed") as raised:
        Talk(LOST, conflict, answer(200, ENDED)).lead(CALLS.cancel("job-1"))
    assert raised.value.job.status == "completed"


def test_a_job_that_still_runs_is_told_with_the_error() -> None:
    """As the queue of a program does."""
    conflict = answer(409, {"type": NOT_FINISHED, "detail": "no luck"})
    with pytest.raises(NotFinished, match="is still pending") as raised:
        Talk(conflict, answer(200, DETAIL)).lead(CALLS.retry("job-1", None))
    assert raised.value.job.id == JOB["id"]


def test_to_run_a_job_now_whose_answer_was_lost_is_no_error() -> None:
    """It runs because of the first request. If it had begun before, that is an error."""
    conflict = answer(409, {"type": NOT_PENDING, "detail": "no luck"})
    runs = answer(200, {**DETAIL, "status": "processing"})
    assert Talk(LOST, conflict, runs).lead(CALLS.run_now("job-1")).status == "processing"
    with pytest.raises(NotPending, match="is already processing"):
        Talk(conflict, runs).lead(CALLS.run_now("job-1"))


PERHAPS_DONE = [LOST, answer(502), problem(503, "store-unavailable", retry_after="5")]


@pytest.mark.parametrize("trouble", PERHAPS_DONE, ids=["lost", "proxy", "store"])
def test_what_an_earlier_request_may_have_done_is_no_error(trouble: Answer | NoAnswer) -> None:
    """A store that fails keeps a cancellation that was under way, too."""
    ended = answer(409, {"type": ALREADY_FINISHED, "detail": "no luck"})
    cancelled = answer(200, {**DETAIL, "status": "cancelled"})
    assert Talk(trouble, ended, cancelled).lead(CALLS.cancel("job-1")).status == "cancelled"
    began = answer(409, {"type": NOT_PENDING, "detail": "no luck"})
    runs = answer(200, {**DETAIL, "status": "processing", "edits": 1, "priority": 2})
    assert Talk(trouble, began, runs).lead(CALLS.run_now("job-1")).status == "processing"
    changed = Talk(trouble, began, runs).lead(CALLS.edit("job-1", None, 2, UNSET))
    assert changed.status == "processing"


DUE = datetime(2026, 12, 24, 18, tzinfo=UTC)
EDITED = {**ENDED, "edits": 1, "priority": 2, "payload": {"to": "ada"}}
ATTEMPT = {"attempt": 1, "worker_id": "w"}
CHANGES: dict[str, tuple[dict[str, Any], Any]] = {
    "nothing": ({"edits": 0}, (None, 2, UNSET)),
    "another priority": ({}, (None, 3, UNSET)),
    "another payload": ({}, (None, None, {"to": "bob"})),
    "too early": (
        {"attempts": [{**ATTEMPT, "started_at": "2026-12-24T17:59:59Z"}]},
        (DUE, None, UNSET),
    ),
}


def test_a_change_whose_answer_was_lost_is_no_error() -> None:
    """The job began after it, and shows it."""
    conflict = answer(409, {"type": NOT_PENDING, "detail": "no luck"})
    attempts = [{**ATTEMPT, "started_at": "2026-12-24T18:00:00Z"}]
    shown = answer(200, {**EDITED, "attempts": attempts})
    job = Talk(LOST, conflict, shown).lead(CALLS.edit("job-1", DUE, 2, {"to": "ada"}))
    assert job.status == "completed"
    hidden = answer(200, {**EDITED, "payload": None, "hidden": True})
    assert Talk(LOST, conflict, hidden).lead(CALLS.edit("job-1", None, 2, {"to": "ada"})).hidden


@pytest.mark.parametrize(("shown", "wanted"), CHANGES.values(), ids=CHANGES)
def test_a_job_that_began_without_the_change_is_an_error(shown: Any, wanted: Any) -> None:
    """Whether or not an answer was lost."""
    conflict = answer(409, {"type": NOT_PENDING, "detail": "no luck"})
    job = answer(200, EDITED | shown)
    with pytest.raises(NotPending, match="is already completed"):
        Talk(LOST, conflict, job).lead(CALLS.edit("job-1", *wanted))
    with pytest.raises(NotPending, match="is already completed"):
        Talk(conflict, job).lead(CALLS.edit("job-1", *wanted))


GROUP = {"id": "g", "status": "cancelled", "created_at": "2026-11-28T12:00:00Z", "jobs": 3}
COUNTS = {"pending": 0, "processing": 0, "completed": 0, "failed": 0, "cancelled": 3}


def test_the_cancellation_of_a_group_whose_answer_was_lost_is_no_error() -> None:
    """The group tells what was done. If none of it was cancelled, it had ended before."""
    conflict = problem(409, "group-conflict")
    group = {**GROUP, **COUNTS, "progress": 1.0}
    done = Talk(LOST, conflict, answer(200, group)).lead(CALLS.cancel_group("g"))
    assert done == Cancellations(cancelled=3, interrupted=0)
    running = answer(200, group | {"status": "running", "processing": 1, "cancelled": 2})
    nothing = answer(200, {"cancelled": 0, "interrupted": 1})
    done = Talk(LOST, nothing, running).lead(CALLS.cancel_group("g"))
    assert done == Cancellations(cancelled=2, interrupted=1)
    with pytest.raises(GroupConflict):
        Talk(conflict).lead(CALLS.cancel_group("g"))
    completed = answer(200, group | {"status": "completed", "completed": 3, "cancelled": 0})
    with pytest.raises(GroupConflict):
        Talk(LOST, conflict, completed).lead(CALLS.cancel_group("g"))


@pytest.mark.parametrize("trouble", PERHAPS_DONE, ids=["lost", "proxy", "store"])
def test_who_counts_hears_that_more_may_be_done(trouble: Answer | NoAnswer) -> None:
    """A portion that is repeated counts what the repeat did."""
    heard: list[str] = []

    def hear() -> None:
        heard.append("more")

    some = answer(200, {"cancelled": 1, "interrupted": 0})
    Talk(REFUSED, some).lead(CALLS.cancel_all({"tag": "a"}, None, hear))
    assert not heard
    Talk(trouble, some).lead(CALLS.cancel_all({"tag": "a"}, None, hear))
    Talk(trouble, answer(200, {"made_ready": 1})).lead(CALLS.run_now_all({}, None, hear))
    Talk(trouble, answer(200, {"retried": 1})).lead(CALLS.retry_all(None, {}, None, hear))
    assert len(heard) == 3


@pytest.mark.parametrize(
    ("kind", "refusal"), OF_ERRORS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_each_problem_is_the_exception_that_it_was(
    kind: type[JobServiceError], refusal: Refusal
) -> None:
    """Of a queue over HTTP a program catches what it would catch of its own."""
    if kind in (AlreadyFinished, NotFinished, NotPending, WaitsForJobs):
        with_jobs = ALREADY_FINISHED, NOT_FINISHED, NOT_PENDING, WAITS_FOR_JOBS
        assert f"/problems/{refusal.kind}" in with_jobs
        return
    if kind is errors.JobChanged:  # the client expects no version
        return
    said = Problem(refusal, "no luck")
    body = {"type": f"/problems/{refusal.kind}", "detail": said.detail}
    error = error_of(answer(int(refusal.status), body, retry_after="7"))
    same_words: dict[type[JobServiceError], type[JobServiceError]]
    same_words = {errors.InvalidIdempotencyKey: errors.InvalidOption}
    assert (type(error), str(error)) == (same_words.get(kind, kind), "no luck")
    if isinstance(error, StoreUnavailable):
        assert error.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (TOO_MANY_UPLOADS, QueueFull),
        (NOT_READY, QueueClosed),
        (NO_TOKEN, errors.Unauthorized),
        (TOO_LARGE, BatchTooLarge),
        (BUG, UnexpectedAnswer),
    ],
)
def test_what_only_http_can_say_is_an_exception_too(
    refusal: Refusal, kind: type[JobServiceError]
) -> None:
    """The nearest one that a program knows."""
    body = {"type": f"/problems/{refusal.kind}" if refusal.kind else "about:blank", "detail": "no"}
    assert type(error_of(answer(int(refusal.status), body))) is kind


@pytest.mark.parametrize("body", [b"<html>", b"", b"{}", b'{"id": 1}', b"\xff"])
def test_what_no_job_service_says_is_told_as_that(body: bytes) -> None:
    """Perhaps the URL is wrong."""
    with pytest.raises(UnexpectedAnswer, match="not that of a job service"):
        Talk(msgspec.structs.replace(answer(200), body=body)).lead(CALLS.get("job-1"))
    with pytest.raises(UnexpectedAnswer, match="it answers 418"):
        Talk(msgspec.structs.replace(answer(418), body=body)).lead(CALLS.get("job-1"))


@pytest.mark.parametrize("payload", [object(), {"at": object()}, float, "\ud800"])
def test_a_payload_that_is_no_json_is_not_sent(payload: object) -> None:
    """It is the caller's mistake, and told at once."""
    with pytest.raises(errors.InvalidPayload):
        CALLS.submit("mail", payload, None, {})


@pytest.mark.parametrize("key", ["a\nb", "ключ", " ", "\ud800"])
def test_a_key_that_no_header_can_have_is_not_sent(key: str) -> None:
    """It would be repeated for as long as patience lasts, as if nobody answered."""
    with pytest.raises(errors.InvalidOption, match="visible ASCII"):
        CALLS.submit("mail", None, key, {})


def test_what_json_has_no_number_for_is_told() -> None:
    """JSON would have null instead, and the job would run at once."""
    with pytest.raises(errors.InvalidOption, match="delay_seconds must be a number, not inf"):
        CALLS.submit("mail", None, None, {"delay_seconds": float("inf")})
    with pytest.raises(errors.InvalidOption, match="must be a number"):
        next(CALLS.wait("job-1", float("nan")))


def test_any_text_may_be_asked_for_as_an_id() -> None:
    """Also one that can't be written: there is no such job."""
    with pytest.raises(UnknownJob):
        Talk(problem(404, "unknown-job")).lead(CALLS.get("\ud800"))


def receipt(*ids: str) -> Answer:
    """Of a portion."""
    return answer(201, {"ids": list(ids)})


def jobs(number: int, payload: object = None) -> list[Submission]:
    """So many submissions."""
    return [{"type": "mail", "payload": payload, "priority": 2} for _ in range(number)]


def lines(request: Request) -> int:
    """How many jobs are in it."""
    return len((request.body or b"").splitlines())


def test_many_jobs_go_in_portions_each_with_a_key_of_its_own() -> None:
    """The same jobs with the same key make the same requests."""
    talk = Talk(receipt("a"), receipt("b"), receipt("c"))
    assert talk.lead(CALLS.submit_all(jobs(2 * PORTION_JOBS + 1), "key", None)) == ["a", "b", "c"]
    assert [lines(request) for request in talk.requests] == [PORTION_JOBS, PORTION_JOBS, 1]
    again = Talk(receipt("a"), receipt("b"), receipt("c"))
    again.lead(CALLS.submit_all(jobs(2 * PORTION_JOBS + 1), "key", None))
    assert again.requests == talk.requests
    assert len({request.headers["Idempotency-Key"] for request in talk.requests}) == 3
    large = Talk(receipt("a"), receipt("b"), receipt("c"))
    large.lead(CALLS.submit_all(jobs(3, "x" * (PORTION_BYTES // 2)), None, None))
    assert [lines(request) for request in large.requests] == [1, 1, 1]
    assert next(CALLS.submit_all([], None, None), "no request") == "no request"


def test_a_portion_that_the_queue_can_never_hold_is_halved() -> None:
    """Until it fits; a single job that does not fit is an error."""
    too_large = problem(413, "batch-too-large")
    talk = Talk(too_large, receipt("a", "b"), too_large, receipt("c"), receipt("d"))
    assert talk.lead(CALLS.submit_all(jobs(4), "key", None)) == ["a", "b", "c", "d"]
    assert [lines(request) for request in talk.requests] == [4, 2, 2, 1, 1]
    assert len({request.headers["Idempotency-Key"] for request in talk.requests}) == 5
    with pytest.raises(BatchTooLarge) as raised:
        Talk(too_large, receipt("a"), too_large).lead(CALLS.submit_all(jobs(2), None, None))
    assert raised.value.__notes__ == ["the first 1 jobs are accepted"]


def test_calls_about_many_jobs_tell_after_each_portion_what_is_done() -> None:
    """All of it so far; what is raised then ends the call."""
    told: list[Any] = []
    Talk(receipt("a"), receipt("b")).lead(
        CALLS.submit_all(jobs(PORTION_JOBS + 1), None, told.append)
    )
    assert told == [1, 2]
    told.clear()
    first = answer(200, {"cancelled": 2, "interrupted": 1, "next": "j"})
    last = answer(200, {"cancelled": 3, "interrupted": 0})
    done = Talk(first, last).lead(CALLS.cancel_all({"tag": "a"}, told.append, None))
    assert told == [Cancellations(cancelled=2, interrupted=1), done]
    assert done == Cancellations(cancelled=5, interrupted=1)
    told.clear()
    portions = [answer(200, {"made_ready": 2, "next": "j"}), answer(200, {"made_ready": 1})]
    Talk(*portions).lead(CALLS.run_now_all({"tag": "a"}, told.append, None))
    assert told == [2, 3]
    told.clear()
    portions = [answer(200, {"retried": 2, "next": "j"}), answer(200, {"retried": 1})]
    Talk(*portions).lead(CALLS.retry_all(None, {"tag": "a"}, told.append, None))
    assert told == [2, 3]

    def enough(_: int) -> None:
        raise KeyboardInterrupt

    talk = Talk(*portions)
    with pytest.raises(KeyboardInterrupt):
        talk.lead(CALLS.retry_all(None, {"tag": "a"}, enough, None))
    assert len(talk.requests) == 1
