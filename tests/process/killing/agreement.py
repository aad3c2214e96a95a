"""Whether what all wrote down agrees, job by job."""

from collections import Counter
from typing import Final

from tests.process.killing import log_agreement, run_agreement, store_agreement
from tests.process.killing.books import Books

SHOWN: Final = 4  # jobs of which all is told, if something is wrong
CHECKS: Final = (*store_agreement.CHECKS, *run_agreement.CHECKS, *log_agreement.CHECKS)


def disagreements(books: Books) -> str:
    """What is wrong, and what each ledger says of those jobs; empty if all is right."""
    faults = books.clients.wrong + [fault for check in CHECKS for fault in check(books)]
    lines = [f"{what}: {job_id}" for job_id, what in faults]
    jobs = list(dict.fromkeys(job_id for job_id, _ in faults if job_id))
    return "\n".join([*lines[:100], *map(books.all_of, jobs[:SHOWN])])


def numbers_of(books: Books) -> dict[str, int]:
    """How much was compared."""
    clients = books.clients
    ends = Counter(story["status"] for story in books.stories.values())
    attempts = [attempt for story in books.stories.values() for attempt in story["attempts"]]
    outcomes = Counter(attempt["outcome"] for attempt in attempts)
    return {
        "processes": len(books.lives),
        "requests that got no answer": clients.repeated,
        "receipts": len(clients.receipts),
        "answers about jobs": len(clients.told),
        "answers of /metrics": clients.metrics,
        "lines of handlers": len(books.runs),
        "lines of the logs": sum(len(life.lines()) for life in books.lives),
        "jobs": len(books.stories),
        **{f"jobs {status}": jobs for status, jobs in sorted(ends.items())},
        "attempts": len(attempts),
        **{f"attempts {outcome}": jobs for outcome, jobs in sorted(outcomes.items())},
        "untold attempts whose number came again": len(run_agreement.used_again(books)),
    }
