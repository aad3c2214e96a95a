"""How long the service takes until it is ready, against importing its dependencies."""

import subprocess
import sys
import time

from bench.measure import Comparison, Goal, take_turns

SERVICE = [sys.executable, "-m", "job_service", "--port", "0", "--log-format", "json"]
IMPORT = [sys.executable, "-c", "import quart_trio, hypercorn.trio"]


def start_against_import(rounds: int) -> Comparison:
    """Seconds from the start of a process to its `service_started`, or to the end of imports."""
    return Comparison(
        "Start to ready",
        "seconds",
        take_turns(
            {
                "service, to service_started": _seconds_to_ready,
                "import of quart_trio and hypercorn": _seconds_to_import,
            },
            rounds,
        ),
        goals={"import of quart_trio and hypercorn": Goal(at_most=1.3)},
    )


def _seconds_to_ready() -> float:
    start = time.perf_counter()
    process = subprocess.Popen(SERVICE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if b'"service_started"' in line), None)
        seconds = time.perf_counter() - start
        assert line is not None, "it did not start"
        return seconds
    finally:
        process.terminate()
        process.communicate()


def _seconds_to_import() -> float:
    start = time.perf_counter()
    subprocess.run(IMPORT, check=True)
    return time.perf_counter() - start
