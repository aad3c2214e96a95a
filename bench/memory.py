"""How much memory the service takes at rest, and for each waiting or kept job."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from bench.loopback import free_port, running, url
from bench.measure import Figures, Goal, show_progress

JOBS = 100_000
BATCH = 5_000
WARM_UP = 20_000  # jobs; then the event feed's ring and the table have their full size
DAY_SECONDS = 86_400
END_SECONDS = 60.0
REST_SECONDS = 1.0
KIB, MIB = 1_024, 1_024**2

JOB = '{"type":"echo","payload":1}'  # its payload and its result are one byte each


def memory_at_rest(rounds: int) -> Figures:
    """Resident memory of a service that has started and done nothing yet."""
    sizes = []
    for turn in range(1, rounds + 1):
        show_progress(f"memory at rest, round {turn} of {rounds}")
        with _service(retain=1_000) as (pid, _):
            time.sleep(REST_SECONDS)
            sizes.append(resident(pid) / MIB)
    show_progress("")
    return Figures("Memory at rest", "MiB", {"service": sizes}, goals={"service": Goal(at_most=60)})


def memory_per_job(rounds: int) -> Figures:
    """How much resident memory grows per job; its payload and its result are a byte each."""
    rows: dict[str, list[float]] = {}
    for turn in range(1, rounds + 1):
        for row, act, retain in (
            ("a ready job", _hold, 1_000),
            ("a scheduled job", _schedule, 1_000),
            ("a retained job", _complete, WARM_UP + JOBS),
        ):
            show_progress(f"memory of {row}, round {turn} of {rounds}")
            with _service(retain=retain) as (pid, port):
                _complete(port, WARM_UP)
                before = resident(pid)
                act(port, JOBS)
                rows.setdefault(row, []).append((resident(pid) - before) / JOBS)
    show_progress("")
    return Figures(
        "Memory for each job", "bytes", rows, goals=dict.fromkeys(rows, Goal(at_most=KIB))
    )


@contextmanager
def _service(*, retain: int) -> Iterator[tuple[int, int]]:
    """A service, by its process id and its port."""
    port = free_port()
    command = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
    command += ["--queue-capacity", str(2 * JOBS), "--retain", str(retain), "--grace", "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, port, Path(folder) / "log") as pid,
    ):
        yield pid, port


def _complete(port: int, jobs: int) -> None:
    completed = _metrics(port)["jobs_completed"]
    for done in range(BATCH, jobs + 1, BATCH):
        _submit(port, JOB)
        deadline = time.monotonic() + END_SECONDS
        while _metrics(port)["jobs_completed"] < completed + done:
            assert time.monotonic() < deadline, "they did not complete"
            time.sleep(0.01)


def _schedule(port: int, jobs: int) -> None:
    for _ in range(jobs // BATCH):
        _submit(port, JOB[:-1] + f',"delay_seconds":{DAY_SECONDS}}}')


def _hold(port: int, jobs: int) -> None:
    _post(port, "/queue/pause", b"", "application/json")
    for _ in range(jobs // BATCH):
        _submit(port, JOB)


def _submit(port: int, job: str) -> None:
    _post(port, "/jobs/batch", f"{job}\n".encode() * BATCH, "application/x-ndjson")


def _post(port: int, path: str, body: bytes, content_type: str) -> None:
    request = Request(url(port, path), body, {"Content-Type": content_type})  # noqa: S310
    with urlopen(request) as response:  # noqa: S310  # our own loopback server
        response.read()


def _metrics(port: int) -> dict[str, int]:
    with urlopen(url(port, "/metrics")) as response:  # noqa: S310  # our own loopback server
        metrics: dict[str, int] = json.load(response)
    return metrics


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KIB
    raise LookupError(f"process {pid} tells no resident memory")
