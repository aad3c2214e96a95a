"""Whether what all wrote down agrees, job by job."""

from collections import Counter
from typing import Final

from tests.process.killing import log_agreement, run_agreement, store_agreement
from tests.process.killing.books import Books

SHOWN: Final = 4  # jobs of which all is told, if something is wrong
CHECKS: Final = (*store_agreement.CHECKS, *run_agreement.CHECKS, *log_agreement.CHECKS)


def disagreements(books: Books) -> str:
    """What is wrong, and what each ledger says of those jobs; empty if all is right."""
    faults = [("", what) for what in books.clients.wrong]
    faults += [fault for check in CHECKS for fault in check(books)]
    lines = [f"{what}: {job_id}" for job_id, what in faults]
    jobs = list(dict.fromkeys(job_id for job_id, _ in faults if job_id))
    return "\n".join([*lines[:100], *map(books.all_of, jobs[:SHOWN])])


def summary(books: Books) -> str:
    """How much was compared, in one line."""
    clients, ends = books.clients, Counter(story["status"] for story in books.stories.values())
    outcomes = Counter(
        attempt.get("outcome") for story in books.stories.values() for attempt in story["attempts"]
    )
    numbers = {
        "processes": len(books.lives),
        "receipts": len(clients.receipts),
        "requests without an answer": clients.repeated,
        "jobs": len(books.stories),
        **{f"{name} ones": ends[name] for name in sorted(ends)},
        "attempts": outcomes.total(),
        **{f"{name} ones ": outcomes[name] for name in ("lost", "interrupted") if outcomes[name]},
        "lines of handlers": len(books.runs),
        "answers about jobs": len(clients.told),
        "lines of the log": sum(len(life.lines()) for life in books.lives),
        "answers of /metrics": clients.books,
        "numbers of untold attempts used again": len(run_agreement.used_again(books)),
    }
    return ", ".join(f"{number:,} {name.strip()}" for name, number in numbers.items())
