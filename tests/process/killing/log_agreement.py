"""Whether the logs agree with the store, but for lines that a kill took from their buffer."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from tests.process.killing.books import Books, Fault, Json
from tests.process.killing.watchers import ENDS

OUTCOMES = {
    "job_completed": "completed",
    "job_failed": "failed",
    "job_cancelled": "cancelled",
    "job_retried": "failed",
    "job_snoozed": "snoozed",
    "job_released": "interrupted",
    "job_rescued": "lost",
}
KEPT = {"job_created", "job_started", *OUTCOMES}


def lines_are_true(books: Books) -> Iterator[Fault]:
    """Each tells of what the store keeps."""
    for life in books.lives:
        for line in life.lines():
            if line["event"] in KEPT:
                story = books.stories.get(line["job_id"])
                if story is None:
                    yield line["job_id"], f"logged in life {life.number}, and not kept"
                elif not _is_true(line, story):
                    yield line["job_id"], f"not so: {line}"
            elif line["level"] in ("error", "critical"):
                yield "", f"an error in life {life.number}: {line}"


def ends_are_told_once(books: Books) -> Iterator[Fault]:
    """In all logs together."""
    ends = Counter(
        line["job_id"] for life in books.lives for line in life.lines() if line["event"] in ENDS
    )
    for job_id, times in ends.items():
        if times > 1:
            yield job_id, f"ended {times} times"


def lines_are_whole(books: Books) -> Iterator[Fault]:
    """Whatever is kept and happened before the last line of a log has a line in it."""
    moments = [
        (datetime.fromisoformat(moment), job_id, events, attempt)
        for job_id, story in books.stories.items()
        for moment, events, attempt in _moments(story)
    ]
    moments.sort(key=lambda moment: moment[0])
    for life in books.lives:
        lines = [line for line in life.lines() if line["event"] in KEPT]
        if not lines:
            continue
        logged = {(line["timestamp"], line["job_id"], line["event"]) for line in lines}
        logged_at = {(datetime.fromisoformat(time), job, event) for time, job, event in logged}
        last = max(time for time, _, _ in logged_at)
        for moment, job_id, events, attempt in moments:
            is_here = life.began_at <= moment < last
            if is_here and not any((moment, job_id, event) in logged_at for event in events):
                yield job_id, f"attempt {attempt} at {moment}: not in the log of {life.number}"


def _moments(story: Json) -> Iterator[tuple[str, set[str], int]]:
    yield story["created_at"], {"job_created"}, 0
    for attempt in story["attempts"]:
        yield attempt["started_at"], {"job_started"}, attempt["attempt"]
        yield attempt["finished_at"], set(OUTCOMES), attempt["attempt"]
    if not story["attempts"]:
        yield story["finished_at"], set(ENDS), 0


def _is_true(line: Json, story: Json) -> bool:
    event, timestamp = line["event"], line["timestamp"]
    if event == "job_created":
        return bool(timestamp == story["created_at"])
    if event in ENDS and (story["status"], story["finished_at"]) != (ENDS[event], timestamp):
        return False
    if "attempt" not in line:
        return True
    [attempt] = [each for each in story["attempts"] if each["attempt"] == line["attempt"]] or [None]
    if attempt is None:
        return len(story["attempts"]) >= 20
    if event == "job_started":
        return bool(timestamp == attempt["started_at"])
    return (attempt["outcome"], attempt["finished_at"]) == (OUTCOMES[event], timestamp)


CHECKS = (lines_are_true, ends_are_told_once, lines_are_whole)
