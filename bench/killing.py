"""Kills a service again and again under load, and counts what those who took part disagree on."""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import trio
from tests.process.killing.agreement import disagreements, numbers_of
from tests.process.killing.endings import kill
from tests.process.killing.harness import end_again_and_again
from tests.process.killing.lives import Lives, Process, as_a_program

from bench.measure import Figures, Goal, show_progress

SEED: Final = 1


def kill_again_and_again(kills: int) -> Figures:
    """How much was written down in so many kills, and what of it does not agree: nothing may.

    What does not is printed, and then the folder is left with all that was written.
    """
    folder = Path(tempfile.mkdtemp(prefix="killing-"))
    lives = Lives(_launch, folder)
    try:
        books = trio.run(partial(end_again_and_again, lives, kill, times=kills, seed=SEED))
    finally:
        lives.close()
        show_progress("")
    faults = disagreements(books)
    numbers = {"faults": len(faults.splitlines()), **numbers_of(books)}
    if faults:
        print(f"{faults}\nAll of it is in {folder}")
    else:
        shutil.rmtree(folder)
    return Figures(
        f"Killed {kills} times",
        "count",
        {name: [float(number)] for name, number in numbers.items()},
        goals={"faults": Goal(at_most=0)},
    )


def _launch(options: list[str], folder: Path, output: Path) -> Process:
    show_progress(f"process {output.stem}")
    return as_a_program(options, folder, output)
