"""Whether the store agrees with what clients asked for, and with what they were told."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from tests.process.killing.books import Books, Fault, Json, Receipt
from tests.process.killing.clients import TERMINAL
from tests.process.killing.handlers import CRON, INTERVAL, INTERVAL_SECONDS


def receipts_have_their_jobs(books: Books) -> Iterator[Fault]:
    """Each is of the job that was asked for, or of the one that held its unique key."""
    for receipt in books.clients.receipts:
        for asked, job_id in _asked(books, receipt):
            job = books.stories.get(job_id)
            if job is None:
                yield job_id, f"no job for the receipt of {receipt.key}"
                continue
            is_it = job["payload"] == asked["payload"] and job.get("retry_of") == receipt.retry_of
            key = asked.get("unique_key")
            holds_it = key is not None and job.get("unique_key") == key
            if job["type"] != asked["type"] or not (is_it or holds_it):
                yield job_id, f"another job for the receipt of {receipt.key}"


def keys_have_one_job(books: Books) -> Iterator[Fault]:
    """No request made its jobs twice, and no job is of no request."""
    of_requests = {job_id for receipt in books.clients.receipts for job_id in receipt.ids}
    made = Counter[object]()
    for job_id, job in books.stories.items():
        if "schedule" in job:
            continue
        if job_id not in of_requests:
            yield job_id, "a job without a receipt"
        if "retry_of" not in job:
            made[job["payload"]["key"], job["payload"].get("index", 0)] += 1
            if made[job["payload"]["key"], job["payload"].get("index", 0)] > 1:
                yield job_id, "a second job for one request"


def pages_have_each_job_once(books: Books) -> Iterator[Fault]:
    """In the order of their creation."""
    for job_id, times in Counter(books.listed).items():
        if times > 1:
            yield job_id, f"{times} times on the pages"
    if books.listed != sorted(books.listed):
        yield "", "the pages are not in order"


def jobs_end_for_a_reason(books: Books) -> Iterator[Fault]:
    """Each has ended, as it was to end."""
    for job_id, job in books.stories.items():
        attempts, status = job["attempts"], job["status"]
        outcomes = [attempt.get("outcome") for attempt in attempts]
        between = {"failed", "snoozed", "lost", "interrupted"}
        if not between.issuperset(outcomes[:-1]):
            yield job_id, f"went on after {outcomes}"
        numbers = [attempt["attempt"] for attempt in attempts]
        if numbers != sorted(set(numbers)) or numbers[-1:] != [job.get("attempt")] * bool(numbers):
            yield job_id, f"has attempts {numbers}"
        if status == "completed" and outcomes[-1:] == ["completed"]:
            payload = job["payload"]
            wanted = f"{payload['key']}/{payload.get('index', 0)}" if payload else None
            if job["result"] != wanted:
                yield job_id, "has another result"
        elif status == "cancelled" and job_id in books.clients.cancelled:
            if not {"cancelled", "lost", *between}.issuperset(outcomes[-1:]):
                yield job_id, f"was cancelled after {outcomes}"
        elif status != "failed" or not _must_fail(job, books):
            yield job_id, f"is {status} for no reason"


def answers_stay_true(books: Books) -> Iterator[Fault]:
    """What was told of a job before a crash holds after it."""
    for told in books.clients.told:
        job_id, job = told.job["id"], told.job
        story = books.stories.get(job_id)
        if story is None:
            if "schedule" not in job:
                yield job_id, f"told by {told.by}, and not kept"
            continue
        same = ["created_at"]
        if job["status"] in TERMINAL:
            same += ["status", "finished_at"]
        for name in same:
            if name in job and job[name] != story.get(name):
                yield job_id, f"was told {name} {job[name]} by {told.by}"
        if job.get("attempt", 0) > story.get("attempt", 0):
            yield job_id, f"was told attempt {job['attempt']} by {told.by}"
        attempts = {attempt["attempt"]: attempt for attempt in story["attempts"]}
        for attempt in job.get("attempts", ()):
            kept = attempts.get(attempt["attempt"])
            if len(attempts) < 20 and (kept is None or not attempt.items() <= kept.items()):
                yield job_id, f"was told an attempt {attempt}"


def called_off_is_not_begun_again(books: Books) -> Iterator[Fault]:
    """Who was told that a running job is being cancelled sees no further attempt."""
    for told in books.clients.told:
        if told.by == "cancel" and told.job["status"] == "processing":
            story = books.stories.get(told.job["id"], {})
            if story.get("attempt") != told.job["attempt"]:
                yield told.job["id"], "went on after its cancellation"


def unique_keys_have_one_holder(books: Books) -> Iterator[Fault]:
    """At a time."""
    held = defaultdict[object, list[Json]](list)
    for job in books.stories.values():
        if "unique_key" in job:
            held[job["type"], job["unique_key"]].append(job)
    for jobs in held.values():
        jobs.sort(key=_creation)
        for first, second in pairwise(jobs):
            if _time(second["created_at"]) < _time(first["finished_at"]):
                yield second["id"], f"has the unique key that {first['id']} held"


def predecessors_come_first(books: Books) -> Iterator[Fault]:
    """A job begins when those that it comes after have completed."""
    for job_id, job in books.stories.items():
        for other in job.get("after", ()) if job["attempts"] else ():
            first = books.stories[other]
            began = _time(job["attempts"][0]["started_at"])
            if first["status"] != "completed" or _time(first["finished_at"]) > began:
                yield job_id, f"began before {other} had completed"


def ticks_have_one_job(books: Books) -> Iterator[Fault]:
    """One minute has one job of cron; and one interval one, counted from the last before it."""
    minutes = Counter[str]()
    intervals = list[datetime]()
    for job in sorted(books.stories.values(), key=_creation):
        if job.get("schedule") == CRON:
            minute = job["created_at"][:16]
            minutes[minute] += 1
            if minutes[minute] > 1:
                yield job["id"], f"a second job of {minute}"
        elif job.get("schedule") == INTERVAL:
            intervals.append(_time(job["created_at"]))
    for life, later in pairwise(books.lives):
        before = [moment for moment in intervals if moment < life.began_at]
        here = [moment for moment in intervals[len(before) :] if moment < later.began_at]
        if before and here:
            span = here[-1] - before[-1]
            if len(here) > span / timedelta(seconds=INTERVAL_SECONDS) + 0.5:
                yield "", f"{len(here)} ticks in {span} of life {life.number}"


def _asked(books: Books, receipt: Receipt) -> Iterator[tuple[Json, str]]:
    """What was asked for, and the id that was given for it."""
    if receipt.retry_of is None:
        yield from zip(receipt.asked, receipt.ids, strict=True)
    else:
        yield books.stories[receipt.retry_of], receipt.ids[0]


def _must_fail(job: Json, books: Books) -> bool:
    if not job["attempts"]:
        others = [books.stories[other]["status"] for other in job.get("after", ())]
        return any(status != "completed" for status in others)
    outcomes = [attempt["outcome"] for attempt in job["attempts"]]
    return outcomes[-1] == "failed" and bool(job["payload"].get("is_hopeless"))


def _creation(job: Json) -> tuple[str, str]:
    """Its place among all jobs; the clock by which ids are made may have been wrong."""
    return job["created_at"], job["id"]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


CHECKS = (
    receipts_have_their_jobs,
    keys_have_one_job,
    pages_have_each_job_once,
    jobs_end_for_a_reason,
    answers_stay_true,
    called_off_is_not_begun_again,
    unique_keys_have_one_holder,
    predecessors_come_first,
    ticks_have_one_job,
)
