"""Whether the logs agree with the store, but for lines that a kill took from their buffer."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.process.killing.books import Books, Fault, Json
from tests.process.killing.lives import Life
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
CLOCK = timedelta(seconds=0.1)  # by which the clock of the database may differ
KEPT = {"job_created", "job_started", *OUTCOMES}


def lines_are_true(books: Books) -> Iterator[Fault]:
    """Each tells of what the store keeps."""
    for life in books.lives:
        for line in life.lines():
            if line["event"] in KEPT:
                story = books.stories.get(line["job_id"])
                if story is None:
                    yield line["job_id"], f"logged in life {life.number}, and not kept"
                elif not (_is_true(line, story) or _was_refused(books, life, line)):
                    yield line["job_id"], f"not so: {line}"
            elif line["level"] in ("error", "critical") and line["event"] not in books.explained:
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
    """Whatever is kept has a line in one of the logs, but for the ends that kills cut off."""
    logged = set[tuple[datetime, str, str]]()
    buffers = list[tuple[datetime, datetime]]()  # of the killed, from the last line to the kill
    for life in books.lives:
        lines = [line for line in life.lines() if line["event"] in KEPT]
        its = {(_time(line["timestamp"]), line["job_id"], line["event"]) for line in lines}
        logged |= its
        if life.was_killed and life.ended is not None:
            last = max((time for time, _, _ in its), default=life.began_at)
            lived = timedelta(microseconds=(life.ended - life.began) // 1_000)
            buffers.append((last, life.began_at + lived + CLOCK))
    for job_id, story in books.stories.items():
        for text, events, attempt in _moments(story):
            moment = _time(text)
            if any(begin <= moment <= end for begin, end in buffers):
                continue
            if not any((moment, job_id, event) in logged for event in events):
                yield job_id, f"attempt {attempt} at {text}: in no log"


def _moments(story: Json) -> Iterator[tuple[str, set[str], int]]:
    yield story["created_at"], {"job_created"}, 0
    for attempt in story["attempts"]:
        yield attempt["started_at"], {"job_started"}, attempt["attempt"]
        yield attempt["finished_at"], set(OUTCOMES), attempt["attempt"]
    if not story["attempts"]:
        yield story["finished_at"], set(ENDS), 0


def _was_refused(books: Books, life: Life, line: Json) -> bool:
    """A start that the store refused is told together with that."""
    attempt = life.number, line["job_id"], line.get("attempt", 0)
    return line["event"] == "job_started" and attempt in books.refused


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


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


CHECKS = (lines_are_true, ends_are_told_once, lines_are_whole)
