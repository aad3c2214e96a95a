"""What a job costs, as the lines of the service that it makes run: the same on every machine."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import trio.testing

import job_service
from tests.conftest import Rig

SERVICE = str(Path(job_service.__file__).parent)


async def steps_of_a_job(rig: Rig, job_type: str) -> Counter[str]:
    """How often which line is run for a job of this type, from its submission to its end."""
    rig.store._turn_is_due = math.inf  # else time would decide whether the loop has a turn first
    with counting_steps() as steps:
        # Not one by one: whether those wait for a turn of the loop depends on the time.
        await rig.queue.submit_all([rig.queue.check(job_type)])
        await trio.testing.wait_all_tasks_blocked()
    return steps


@contextmanager
def counting_steps() -> Iterator[Counter[str]]:
    """How often which line of the service is run in the block."""
    steps: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        code = frame.f_code
        if not code.co_filename.startswith(SERVICE):
            return None
        if event == "line":
            steps[f"{Path(code.co_filename).name}:{frame.f_lineno}"] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)
