"""What a service costs whose file has ten million finished jobs, beside one with none."""

import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.request import Request, urlopen

from bench.footprint import seconds_computed
from bench.http import check_all_completed
from bench.loopback import free_port, running, url
from bench.measure import Growth, show_progress
from bench.memory import MIB, resident
from job_service.jobs.state.model import DEFAULT_PRIORITY
from job_service.stores.record import AttemptRecord, JobRecord, encode
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import text_of
from job_service.stores.sqlite.rows import Batch, FinishedCount, JobRow

FINISHED = (0, 10_000_000)
IN_ONE_GO = 20_000
DAYS = 30  # that they took
TYPES = ("echo", "sleep", "flaky", "count_words")
Outcome = Literal["completed", "failed", "cancelled"]
OUTCOMES: tuple[Outcome, ...] = (*("completed",) * 97, "failed", "failed", "cancelled")
CUSTOMERS = 10_000
READS = 9
NEW_JOBS = 1_000
START_SECONDS = 300.0

PAYLOAD = json.dumps({"to": "ada@example.com", "subject": "Your order", "text": "x" * 140})


def growth_with_finished_jobs(rounds: int) -> Growth:
    """By finished jobs in the file: the start, memory, pages, counts, and a job more."""
    lines: dict[str, dict[int, list[float]]] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        files = {jobs: Path(folder) / f"{jobs}.db" for jobs in FINISHED}
        for jobs, file in files.items():
            fill(file, jobs)
        for turn in range(1, rounds + 1):
            with ExitStack() as stack:
                services = {
                    jobs: stack.enter_context(_started(file, jobs)) for jobs, file in files.items()
                }
                for line, cost in _COSTS.items():
                    for jobs, service in services.items():
                        show_progress(f"{line} at {jobs:,}, round {turn} of {rounds}")
                        lines.setdefault(line, {}).setdefault(jobs, []).append(cost(service))
    show_progress("")
    return Growth("Cost by finished jobs in a file", "finished jobs", "in each line's unit", lines)


def fill(path: Path, jobs: int) -> None:
    """Make a database with so many finished jobs, spread over a month."""
    began = datetime.now(UTC) - timedelta(days=DAYS)
    moments = (began + timedelta(days=DAYS) * (n / max(jobs, 1)) for n in range(jobs))
    chance = random.Random(0)
    with closing(JobFile.open(path)) as file:
        for done in range(0, jobs, IN_ONE_GO):
            show_progress(f"writing {jobs:,} jobs, {done:,} so far")
            batch = Batch()
            for moment in itertools.islice(moments, IN_ONE_GO):
                _add(batch, moment, chance)
            ends = Counter((row.type, row.status) for row in batch.jobs)
            batch.ended = [FinishedCount(*kind, number) for kind, number in ends.items()]
            file.write(batch)
        file.checkpoint()


def _add(batch: Batch, created_at: datetime, chance: random.Random) -> None:
    job_id = _id_of(created_at, chance)
    job_type, status = chance.choice(TYPES), chance.choice(OUTCOMES)
    customer = f"customer-{chance.randrange(CUSTOMERS)}"
    finished_at = created_at + timedelta(seconds=1)
    error = f"TimeoutError: no answer from {customer}" if status == "failed" else None
    record = JobRecord(
        job_id,
        job_type,
        status,
        3,
        created_at,
        created_at,
        finished_at,
        tags=(customer,),
        runs=1,
        attempts=(AttemptRecord(1, "worker-1", created_at, finished_at, 1.0, status, error),),
    )
    created, finished = text_of(created_at), text_of(finished_at)
    batch.jobs.append(
        JobRow(
            job_id,
            job_type,
            status,
            DEFAULT_PRIORITY,
            created,
            created,
            finished,
            encode(record).decode(),
            "null" if status == "completed" else None,
            error and error.lower(),
        )
    )
    batch.payloads.append((job_id, PAYLOAD))
    batch.labels.append((f"tag:{customer}", job_id))


def _id_of(moment: datetime, chance: random.Random) -> str:
    milliseconds, rest = f"{int(moment.timestamp() * 1_000):012x}", f"{chance.getrandbits(60):015x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7{rest[:3]}-8{rest[3:6]}-{rest[3:]}"


class _Service:
    """A running service, and what is asked of it."""

    def __init__(self, pid: int, port: int, ready_seconds: float) -> None:
        self.pid = pid
        self.port = port
        self.ready_seconds = ready_seconds

    def read(self, path: str) -> bytes:
        """The answer to GET."""
        with urlopen(url(self.port, path)) as response:  # noqa: S310  # our own loopback server
            body: bytes = response.read()
        return body


@contextmanager
def _started(file: Path, jobs: int) -> Iterator[_Service]:
    port, log = free_port(), file.with_suffix(".log")
    command = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
    command += ["--store", f"sqlite:{file}", "--retain", str(max(jobs, NEW_JOBS))]
    start = time.perf_counter()
    with running(command, port, log) as pid:
        while b'"service_started"' not in log.read_bytes():
            assert time.perf_counter() < start + START_SECONDS, log.read_text()
            time.sleep(0.01)
        yield _Service(pid, port, time.perf_counter() - start)


def _milliseconds(path: Callable[[_Service], str]) -> Callable[[_Service], float]:
    """What the answer takes, in the middle of several."""

    def cost(service: _Service) -> float:
        times = []
        for _ in range(READS):
            asked = path(service)
            start = time.perf_counter()
            service.read(asked)
            times.append((time.perf_counter() - start) * 1_000)
        return sorted(times)[READS // 2]

    return cost


def _in_the_middle(_: _Service) -> str:
    return (
        f"/jobs?limit=100&cursor={_id_of(datetime.now(UTC) - timedelta(DAYS / 2), random.Random())}"
    )


def _of_an_hour(_: _Service) -> str:
    since = datetime.now(UTC) - timedelta(days=DAYS / 3)
    span = (since, since + timedelta(hours=1))
    after, before = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in span)
    return f"/jobs?limit=100&status=failed&created_after={after}&created_before={before}"


def _job(service: _Service) -> float:
    """Processor time, in microseconds. If as many are kept as may be, each displaces another."""
    batch = Request(  # noqa: S310  # our own loopback server
        url(service.port, "/jobs/batch"),
        b'{"type":"echo","payload":1}\n' * NEW_JOBS,
        {"Content-Type": "application/x-ndjson"},
    )
    start = seconds_computed(service.pid)
    with urlopen(batch) as response:  # noqa: S310
        assert len(json.load(response)["ids"]) == NEW_JOBS
    check_all_completed(service.port)
    return (seconds_computed(service.pid) - start) / NEW_JOBS * 1e6


_COSTS: dict[str, Callable[[_Service], float]] = {
    "start to ready, seconds": lambda service: service.ready_seconds,
    "resident memory, MiB": lambda service: resident(service.pid) / MIB,
    "a job, µs": _job,
} | {
    f"{name}, ms": _milliseconds(path)
    for name, path in {
        "first page": lambda _: "/jobs?limit=100",
        "page in the middle": _in_the_middle,
        "newest, two statuses, two types": lambda _: (
            "/jobs?limit=100&order=newest&status=failed&status=cancelled&type=echo&type=flaky"
        ),
        "of a tag": lambda _: "/jobs?limit=100&tag=customer-77",
        "of a tag that failed": lambda _: "/jobs?limit=100&tag=customer-77&status=failed",
        "of an error that many have": lambda _: "/jobs?limit=100&error=timeout",
        "of an error that few have": lambda _: "/jobs?limit=100&error=customer-7777",
        "of an hour that failed": _of_an_hour,
        "of a part of an id": lambda _: "/jobs?limit=100&id=abcdef",
        "counts": lambda _: "/types",
        "queue": lambda _: "/queue",
        "metrics": lambda _: "/metrics",
    }.items()
}
