"""Runs a peer's script in the peer's environment; a peer that is absent or fails is skipped."""

import json
import math
import os
import signal
import subprocess
from collections.abc import Mapping
from functools import partial

from bench.measure import RateOf, take_turns
from bench.peers.environments import ROOT, python_of

ROUND_SECONDS = 60.0


class PeerError(Exception):
    """A peer has failed; the message is the last line of its output."""


def jobs_per_second(peer: str, script: str, jobs: int, redis_url: str = "") -> float:
    """What `bench.peers.<script>` measures. Raises PeerError if it fails."""
    environment = {**os.environ, "BENCH_JOBS": str(jobs), "BENCH_REDIS_URL": redis_url}
    command = [python_of(peer), "-m", f"bench.peers.{script}"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=ROUND_SECONDS)
    except subprocess.TimeoutExpired:
        raise PeerError(f"not done after {ROUND_SECONDS:.0f} s") from None
    finally:
        if process.poll() is None:
            # It leads a session, to which the worker belongs that it has started.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise PeerError(last_line(errors))
    rate: float = json.loads(output)["jobs_per_second"]
    return rate


def take_turns_with_peers(
    ours: Mapping[str, RateOf], peers: Mapping[str, RateOf], rounds: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Take turns; a peer that fails in any round is skipped, with the reason."""
    failed: dict[str, str] = {}

    def unless_failed(side: str, rate: RateOf) -> float:
        if side not in failed:
            try:
                return rate()
            except Exception as error:  # whatever it is, the others are still measured
                failed[side] = f"failed: {last_line(str(error))}"
        return math.nan

    guarded = {side: partial(unless_failed, side, rate) for side, rate in peers.items()}
    values = take_turns({**ours, **guarded}, rounds)
    return {side: taken for side, taken in values.items() if side not in failed}, failed


def last_line(text: str) -> str:
    """The last line of a traceback, or what to say if there is none."""
    return (text.strip().splitlines() or ["no output"])[-1]
