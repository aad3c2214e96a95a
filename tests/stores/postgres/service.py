"""Several engines on one database, each as a process of its own would be."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from job_service.jobs.queueing.queue import JobQueue
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.engine import Engine
from job_service.jobs.state.detail import JobDetail
from job_service.stores.postgres.store import PostgresStore
from job_service.telemetry.counting import Metrics
from job_service.telemetry.emitter import Emitter
from job_service.telemetry.events import Event, JobEvent
from job_service.telemetry.log import Log
from tests.conftest import assert_balanced


class Service:
    """One engine with a store and connections of its own, and all that it has said."""

    def __init__(
        self,
        url: str,
        registry: Registry,
        *,
        workers: int = 2,
        observer: Callable[[Event], None] | None = None,
        **options: Any,
    ) -> None:
        self.events: list[Event] = []
        self.metrics = Metrics(100)
        emit = Emitter(self.metrics.observe, observer or self.events.append).emit
        bounds = {"capacity": 1_000, "capacity_bytes": 1_000_000, "retain": 10_000}
        self.store = PostgresStore(url, emit, **(bounds | options))
        log = Log(lambda _: None)
        self.pace: dict[str, float] = {}  # of each type, so many jobs begin a second
        self.engine = Engine(
            registry,
            self.store,
            emit,
            log.logger,
            workers=workers,
            starts_per_second=lambda: self.pace,
        )

    @property
    def queue(self) -> JobQueue:
        """The way in."""
        return self.engine.queue

    async def run(self, task_status: trio.TaskStatus["Service"]) -> None:
        """Run jobs until stopped."""
        async with self.store.opened(), trio.open_nursery() as nursery:
            await nursery.start(self.engine.run)
            task_status.started(self)

    async def ended(self, job_id: str) -> JobDetail:
        """The job, when it has ended."""
        return await self.queue.wait(job_id, 20)

    def said(self, kind: type[Event]) -> list[str]:
        """The ids of the jobs of which an event of this kind told."""
        return [
            event.job_id
            for event in self.events
            if isinstance(event, kind) and isinstance(event, JobEvent)
        ]

    def check(self) -> None:
        """Its books balance."""
        assert_balanced(self.metrics.snapshot())


@asynccontextmanager
async def services(
    url: str, registry: Registry | Callable[[int], Registry], number: int = 3, **options: Any
) -> AsyncIterator[list[Service]]:
    """So many services on one database; they drain when the block is left."""
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            running = []
            for index in range(number):
                its = registry if isinstance(registry, Registry) else registry(index)
                running.append(await nursery.start(Service(url, its, **options).run))
            yield running
            for service in running:
                service.engine.drain(10)
    for service in running:
        service.check()
