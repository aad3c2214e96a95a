"""Has faults happen to three processes on one database, and prints how long each took to mend."""

import random
import shutil
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import trio
from tests.process.chaos.crew import LEASE_SECONDS
from tests.process.chaos.faults import FAULTS, Fault, mixed, nothing
from tests.process.chaos.harness import COUNTED, Recovery, go_through
from tests.process.chaos.small_disk import small_disk_under
from tests.process.chaos.small_disk import why_there_is_none as why_no_disk
from tests.process.chaos.surroundings import fill_disk, set_wall_clock
from tests.process.chaos.wrong_clock import why_none_can_be_set, with_clocks_of_their_own
from tests.process.killing.agreement import disagreements, numbers_of
from tests.process.killing.lives import Launch, as_a_program
from tests.stores.postgres.cluster import running_cluster, why_there_is_none

from bench.measure import Figures, Goal, show_progress

SEED: Final = 1
MIXED: Final = 4  # in each round
# It takes few connections, and cleans up as any server does.
SETTINGS: Final = {"max_connections": "40", "autovacuum": "on", "autovacuum_naptime": "1s"}


def suffer_all_faults(rounds: int) -> Figures:
    """Each fault so many times, and so many rounds of two at once; then what does not agree.

    What does not is printed, and then the folder is left with all that was written.
    """
    if (why := why_there_is_none()) is not None:
        return Figures("Chaos", "count", {}, skipped={"chaos": why})
    folder = Path(mkdtemp(prefix="chaos-"))
    launch: Launch = as_a_program
    left_out = dict[Fault, str]()
    with running_cluster(**SETTINGS) as cluster, ExitStack() as stack:
        disk = None
        if (why := why_no_disk()) is None:
            disk = stack.enter_context(small_disk_under(cluster))
        else:
            left_out[fill_disk] = why
        if (why := why_none_can_be_set()) is None:
            launch = with_clocks_of_their_own(folder)
        else:
            left_out[set_wall_clock] = why
        chance = random.Random(SEED)
        tried = [fault for fault in (nothing, *FAULTS) if fault not in left_out]
        faults = [fault for fault in tried for _ in range(rounds)]
        faults += [mixed(chance) for _ in range(rounds * MIXED)]
        recoveries, books = trio.run(
            partial(
                go_through,
                faults,
                launch,
                folder,
                cluster,
                seed=SEED,
                disk=disk,
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
        skipped={fault.__name__: why for fault, why in left_out.items()},
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
