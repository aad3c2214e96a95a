"""No-op jobs through the whole engine, watched for stalls and not."""

import trio

from bench.engine import WORKERS, jobs_per_second
from bench.measure import Comparison, compare


def watched_against_unwatched(rounds: int = 25) -> Comparison:
    """Jobs per second with the stall watchdog over jobs per second without."""
    return compare(
        f"engine with the stall watchdog against without, {WORKERS} workers",
        "jobs",
        lambda: trio.run(jobs_per_second, True),
        lambda: trio.run(jobs_per_second, False),
        rounds,
    )
