"""No-op jobs through the whole engine, with the stall watchdog and without."""

import trio

from bench.engine import WORKERS, jobs_per_second
from bench.measure import Comparison, Goal, take_turns


def watched_against_unwatched(rounds: int) -> Comparison:
    """Jobs per second with the stall watchdog and without."""
    return Comparison(
        f"Stall watchdog, {WORKERS} workers",
        "jobs per second",
        take_turns(
            {
                "engine, watched": lambda: trio.run(jobs_per_second, True),
                "engine, not watched": lambda: trio.run(jobs_per_second, False),
            },
            rounds,
        ),
        goals={"engine, not watched": Goal(at_least=0.95)},
    )
