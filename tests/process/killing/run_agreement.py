"""Whether the store agrees with what handlers did."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.process.killing.books import Books, Fault
from tests.process.killing.clients import TERMINAL
from tests.process.killing.handlers import Entry
from tests.process.killing.watchers import ENDS

HOW_IT_ENDED = {
    "completed": {"returned"},
    "failed": {"RuntimeError", "Discard"},
    "snoozed": {"Snooze"},
}


def runs_are_of_jobs(books: Books) -> Iterator[Fault]:
    """What a handler began is an attempt of a job, unless the store refused it."""
    logged, answered = _logged_starts(books), _answered_starts(books)
    for run in books.runs:
        story = books.stories.get(run.job_id)
        if story is None:
            yield run.job_id, "run, and not kept"
            continue
        numbers = {attempt["attempt"] for attempt in story["attempts"]}
        if run.what != "begin" or run.attempt in numbers or len(numbers) >= 20:
            continue
        life, start = books.life_of(run), (run.job_id, run.attempt)
        is_told = start in answered or (life.number, *start) in logged
        must_be_kept = books.knows_all_starts or is_told or not life.was_killed
        if must_be_kept and not books.was_refused(run):
            yield run.job_id, f"attempt {run.attempt} was run, and is not kept"


def attempts_were_run(books: Books) -> Iterator[Fault]:
    """How an attempt ended is how its handler did."""
    entries = defaultdict[object, set[str]](set)
    for run in books.runs:
        entries[run.job_id, run.attempt].add(run.what)
    for job_id, story in books.stories.items():
        for attempt in story["attempts"]:
            wanted = HOW_IT_ENDED.get(attempt.get("outcome", ""))
            found = entries[job_id, attempt["attempt"]]
            if wanted is not None and not ("begin" in found and found & wanted):
                yield job_id, f"attempt {attempt['attempt']} was not run: {found}"


def ended_jobs_do_not_begin(books: Books) -> Iterator[Fault]:
    """Nothing begins after an end that anybody was told.

    Exceptions are a handler in a thread or a process that was cancelled before it had come to its
    first line; and one in a process that did not know yet that its lease was over.
    """
    ends = _told_ends(books)
    for run in books.runs:
        if run.what == "begin" and run.at > ends.get(run.job_id, run.at):
            last = books.stories[run.job_id]["attempts"][-1:]
            late = [(each["attempt"], each["outcome"]) for each in last]
            if late != [(run.attempt, "cancelled")] and not books.was_refused(run):
                yield run.job_id, f"attempt {run.attempt} began after its end was told"


def numbers_are_used_once(books: Books) -> Iterator[Fault]:
    """No two runs have the same number, unless the store refused one of them."""
    logged, answered = _logged_starts(books), _answered_starts(books)
    for first, second in used_again(books):
        if books.was_refused(first) or books.was_refused(second):
            continue
        before, after = books.life_of(first), books.life_of(second)
        start = first.job_id, first.attempt
        is_told = (before.number, *start) in logged or answered.get(start, second.at) < after.began
        must_be_kept = books.knows_all_starts or is_told or not before.was_killed
        if must_be_kept or before is after:
            yield first.job_id, f"number {first.attempt} was used twice"


def used_again(books: Books) -> list[tuple[Entry, Entry]]:
    """Runs that followed one another with the same number."""
    begun = defaultdict[object, list[Entry]](list)
    for run in books.runs:
        if run.what == "begin":
            begun[run.job_id, run.attempt].append(run)
    return [pair for runs in begun.values() for pair in pairwise(runs)]


def _answered_starts(books: Books) -> dict[tuple[str, int], int]:
    """The job and number of each attempt that an answer told, and when it was told first."""
    told = dict[tuple[str, int], int]()
    for each in books.clients.told:
        for attempt in each.job.get("attempts", ()):
            told.setdefault((each.job["id"], attempt["attempt"]), each.at)
    return told


def _logged_starts(books: Books) -> set[tuple[int, str, int]]:
    """The life, job and number of each attempt that has a line."""
    return {
        (life.number, line["job_id"], line["attempt"])
        for life in books.lives
        for line in life.lines()
        if line["event"] == "job_started"
    }


def _told_ends(books: Books) -> dict[str, int]:
    """When it was told of each job, at the latest, that it had ended."""
    ends = dict[str, int]()
    for told in books.clients.told:
        if told.job["status"] in TERMINAL:
            ends[told.job["id"]] = min(told.at, ends.get(told.job["id"], told.at))
    for life in books.lives:
        for line in life.lines():
            if line["event"] in ENDS and life.ended is not None:
                ends[line["job_id"]] = min(life.ended, ends.get(line["job_id"], life.ended))
    return ends


CHECKS = (runs_are_of_jobs, attempts_were_run, ended_jobs_do_not_begin, numbers_are_used_once)
