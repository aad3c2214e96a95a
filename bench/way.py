"""`python -m bench.way` prints the way of one job through the code: each module that it enters.

A module that the job has left and comes back to is marked, because that is what makes code hard to
follow. At the end it counts such returns, to modules and to the rooms that they are in.
"""

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import trio

import job_service
from bench.inprocess import running_engine

_PACKAGE = f"{Path(job_service.__file__).parent}/"
_TURNS = 10  # of the loop, until the job has ended


class Stay(NamedTuple):
    """Some calls of functions in one module, one after the other."""

    module: str
    functions: list[str]


async def way_of_a_job() -> list[Stay]:
    """The modules in their order, from `queue.submit` to the worker that asks for the next job."""
    calls: list[tuple[str, str]] = []
    called = set[FrameType]()  # because one that is resumed after an `await` is seen again

    def note(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(_PACKAGE) and frame not in called:
            called.add(frame)
            calls.append((path.removeprefix(_PACKAGE), frame.f_code.co_name))

    async with running_engine(workers=1) as running:
        await running.complete(10)
        sys.setprofile(note)
        try:
            await running.queue.submit("noop")
            for _ in range(_TURNS):
                await trio.lowlevel.checkpoint()
        finally:
            sys.setprofile(None)
    return [
        Stay(module, [function for _, function in stay])
        for module, stay in groupby(calls, key=lambda call: call[0])
    ]


def room_of(module: str) -> str:
    """The room that a module is in; what keeps jobs and what a job is count as one."""
    folder = str(Path(module).parent)
    if folder == ".":
        return "jobs/registration"  # which alone asks them about a payload
    return "jobs/state and stores" if folder in {"jobs/state", "stores"} else folder


def returns_in(places: Sequence[str]) -> int:
    """How often this way comes back to a place that it has left."""
    steps = [place for place, _ in groupby(places)]
    return len(steps) - len(set(steps))


def main() -> None:
    """Print it."""
    way = trio.run(way_of_a_job)
    entered = set[str]()
    for module, functions in way:
        print(f"{'<-' if module in entered else '  '} {module:36} {', '.join(functions)}")
        entered.add(module)
    modules = [stay.module for stay in way]
    rooms = [room_of(module) for module in modules]
    for name, places in (("modules", modules), ("rooms", rooms)):
        print(f"{len(set(places))} {name}, {returns_in(places)} returns")


if __name__ == "__main__":
    main()
