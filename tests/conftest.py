"""What many tests share: an engine that runs in the test's nursery, and a record of its events."""

import compileall
import gc
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import msgspec
import pytest
import trio

import job_service
from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.asyncio_thread import WatchTurns
from job_service.jobs.running.engine import Engine
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.weight import DEFAULT_QUEUE_BYTES, DEFAULT_RETAIN_BYTES
from job_service.stores.memory import MemoryStore
from job_service.telemetry.counting import Metrics
from job_service.telemetry.emitter import Emitter
from job_service.telemetry.events import Event
from job_service.telemetry.feed import Feed
from job_service.telemetry.history import History
from job_service.telemetry.log import Log
from job_service.telemetry.metrics import MetricsSnapshot
from tests.certificates import Certificate, issue
from tests.forking import Ancestor

Kind = TypeVar("Kind", bound=Event)

# A machine that is busy takes long for any example.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: many tests wait for a process or a browser."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Compile the service and the tests once: many processes load them.

    If Python must not keep what it has compiled (PYTHONDONTWRITEBYTECODE), each would do it
    anew, which takes longer than most of what it does then.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None:
        compileall.compile_dir(Path(job_service.__file__).parent, quiet=2)
    elif config.args == config.getini("testpaths"):
        number = int(worker["workerid"].removeprefix("gw"))
        import_tests(number / worker["workercount"], config.getoption("ignore") or [])


def import_tests(start: float, ignored: list[str]) -> None:
    """Import all tests, from this fraction of them on, and then those before.

    pytest-xdist's processes would otherwise compile the same module at the same time. Like this,
    each finds most of them compiled by another.
    """
    folder = Path(__file__).parent
    paths = [
        path.relative_to(folder.parent)
        for path in sorted(folder.rglob("test_*.py"))
        if not any(path.is_relative_to(Path(other).absolute()) for other in ignored)
    ]
    first = int(start * len(paths))
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    for path in paths[first:] + paths[:first]:
        with suppress(Exception, pytest.skip.Exception):  # of which the collection tells
            import_module(".".join(path.with_suffix("").parts))
    sys.dont_write_bytecode = kept


class Record:
    """An observer that keeps what it heard."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def observe(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The events of this kind, in their order."""
        return [event for event in self.events if isinstance(event, kind)]

    def names(self, job_id: str | None = None) -> list[str]:
        """The names of all events, or of all events of one job, in their order."""
        return [
            event.event
            for event in self.events
            if job_id is None or getattr(event, "job_id", None) == job_id
        ]


def assert_balanced(now: MetricsSnapshot) -> None:
    """The conservation law, as `/metrics` states it."""
    assert now.jobs_created + now.jobs_claimed == (
        now.jobs_completed
        + now.jobs_failed
        + now.jobs_cancelled
        + now.jobs_abandoned
        + now.jobs_released
        + now.jobs_in_progress
        + now.jobs_pending
    )


class Rig:
    """An engine on the test bench, with everything it says within reach."""

    def __init__(
        self,
        nursery: trio.Nursery,
        registry: Registry,
        *,
        workers: int = 2,
        queue_capacity: int = 100,
        queue_bytes: int = DEFAULT_QUEUE_BYTES,
        retain: int = 1_000,
        retain_bytes: int = DEFAULT_RETAIN_BYTES,
        clock: Clock | None = None,
        max_abandoned_threads: int = 100,
        store: type[MemoryStore] = MemoryStore,
        watch_asyncio: WatchTurns | None = None,
    ) -> None:
        self.registry = registry
        self.record = Record()
        self.lines: list[dict[str, Any]] = []
        clock = clock or Clock(monotonic=trio.current_time)
        self.metrics = Metrics(queue_capacity, clock.monotonic)
        self.history = History(self.metrics.live, clock.monotonic)
        log = Log(lambda line: self.lines.append(msgspec.json.decode(line)))
        self.feed = Feed()
        emit = Emitter(self.history, self.metrics, log, self.feed, self.record.observe).emit
        self.store = store(
            emit,
            clock,
            capacity=queue_capacity,
            capacity_bytes=queue_bytes,
            retain=retain,
            retain_bytes=retain_bytes,
        )
        self.engine = Engine(
            registry,
            self.store,
            emit,
            log.logger,
            workers=workers,
            max_abandoned_threads=max_abandoned_threads,
            watch_asyncio=watch_asyncio,
            random_source=random.Random(0),
            starts_per_second=self.history.starts_per_second,
        )
        self.history.watch(lambda: self.engine.oldest_ready)
        self._nursery = nursery

    @property
    def queue(self) -> JobQueue:
        """The engine's queue."""
        return self.engine.queue

    async def start(self) -> None:
        """Run the engine in the test's nursery, which ends only when the engine has."""
        await self._nursery.start(self.engine.run)

    def snapshot(self) -> MetricsSnapshot:
        """The metrics, after checking that the books balance."""
        now = self.metrics.snapshot()
        assert_balanced(now)
        return now


@pytest.fixture
def registry() -> Registry:
    """An empty registry."""
    return Registry()


@pytest.fixture
def make_rig(nursery: trio.Nursery, registry: Registry) -> Callable[..., Rig]:
    """Builds an engine on `registry`; keyword arguments are the engine's own."""
    return lambda **options: Rig(nursery, registry, **options)


@pytest.fixture
def free_port() -> int:
    """One that a service can have again after a restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for this machine, made for the test run."""
    return issue(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def ancestor() -> Iterator[Ancestor]:
    """What services are forked from."""
    ancestor = Ancestor()
    yield ancestor
    ancestor.close()


@pytest.fixture
def unclosed_sockets() -> Iterator[None]:
    """Let sockets go with the test that left them to the garbage collection, and not later.

    httpcore leaves one there if it can't connect to a Unix socket. Whoever uses this filters the
    warning, too, which newer Pythons would else give to a test that comes after.
    """
    yield
    gc.collect()
