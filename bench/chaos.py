"""Has faults happen to three processes on one database, and prints how long each took to mend."""

import random
import shutil
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import trio
from tests.process.chaos.crew import LEASE_SECONDS
from tests.process.chaos.faults import FAULTS, mixed, nothing
from tests.process.chaos.harness import COUNTED, Recovery, go_through
from tests.process.killing.agreement import disagreements, numbers_of
from tests.process.killing.lives import as_a_program
from tests.stores.postgres.cluster import running_cluster, why_there_is_none

from bench.measure import Figures, Goal, show_progress

SEED: Final = 1
MIXED: Final = 4  # in each round
CONNECTIONS: Final = "40"  # that the server takes at most


def suffer_all_faults(rounds: int) -> Figures:
    """Each fault so many times, and so many rounds of two at once; then what does not agree.

    What does not is printed, and then the folder is left with all that was written.
    """
    if (why := why_there_is_none()) is not None:
        return Figures("Chaos", "count", {}, skipped={"chaos": why})
    chance = random.Random(SEED)
    faults = [fault for fault in (nothing, *FAULTS) for _ in range(rounds)]
    faults += [mixed(chance) for _ in range(rounds * MIXED)]
    folder = Path(mkdtemp(prefix="chaos-"))
    with running_cluster(max_connections=CONNECTIONS) as cluster:
        recoveries, books = trio.run(
            partial(
                go_through,
                faults,
                as_a_program,
                folder,
                cluster,
                seed=SEED,
                tell=show_progress,
            )
        )
    show_progress("")
    print(_table(recoveries))
    wrong = disagreements(books)
    numbers = {"faults": len(wrong.splitlines()), **numbers_of(books)}
    if wrong:
        print(f"{wrong}\nAll of it is in {folder}")
    else:
        shutil.rmtree(folder)
    return Figures(
        f"Three processes, {len(faults)} faults, a lease of {LEASE_SECONDS:g} s",
        "count",
        {name: [float(number)] for name, number in numbers.items()},
        goals={"faults": Goal(at_most=0)},
    )


def _table(recoveries: Sequence[Recovery]) -> str:
    """A row for each fault: medians, and the most in brackets; how many lines of the logs."""
    head = ["fault", "lasted", "answers after", "jobs ended after", *COUNTED]
    lines = [head, ["---"] * len(head)]
    for fault, group in groupby(recoveries, lambda recovery: recovery.fault):
        its = list(group)
        times: list[Callable[[Recovery], float]] = [
            lambda recovery: recovery.lasted,
            lambda recovery: recovery.answers,
            lambda recovery: recovery.ended,
        ]
        row = [fault.replace("_", " "), *(_seconds([time(each) for each in its]) for time in times)]
        lines.append([*row, *(str(sum(each.said[event] for each in its)) for event in COUNTED)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(values: Sequence[float]) -> str:
    median = f"{statistics.median(values):.1f} s"
    return median if len(values) == 1 else f"{median} ({max(values):.1f})"
