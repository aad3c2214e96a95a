"""A program's wall clock can be set, and no other clock of it."""

import signal
import time
from pathlib import Path

import pytest
import trio

from tests.process.chaos import wrong_clock

WATCH = """
import time
while True:
    print(round(time.time()), round(time.monotonic()), flush=True)
    time.sleep(0.02)
"""
HOUR = 3_600


async def test_the_wall_clock_of_a_program_is_set_while_it_runs(tmp_path: Path) -> None:
    """Ahead and back again; the time that elapses is not changed."""
    if (why := wrong_clock.why_none_can_be_set()) is not None:
        pytest.skip(why)
    (tmp_path / "job_service.py").write_text(WATCH)
    output = tmp_path / "output"
    program = wrong_clock.with_clocks_of_their_own(tmp_path)([], tmp_path, output)
    try:
        for ahead in (0, HOUR, 0):
            wrong_clock.set_clock(output, ahead)
            with trio.fail_after(60):
                while abs(_last(output)[0] - time.time() - ahead) > HOUR / 2:
                    await trio.sleep(0.02)
            assert abs(_last(output)[1] - time.monotonic()) < HOUR / 2
    finally:
        program.send_signal(signal.SIGKILL)
        with trio.fail_after(60):
            while program.poll() is None:
                await trio.sleep(0.02)


def _last(output: Path) -> tuple[float, float]:
    """What the program has said last of both clocks; nothing is long ago."""
    *lines, _ = output.read_text().split("\n")
    wall, monotonic = map(float, lines[-1].split()) if lines else (0.0, time.monotonic())
    return wall, monotonic
