"""taskiq's InMemoryBroker: every job is a task of the one event loop, uvloop's."""

import logging

import uvloop
from taskiq import InMemoryBroker
from taskiq.serializers import ORJSONSerializer

from bench.peers.workload import WORKERS, measure_async

# Without casting there are no parameters to validate, and a no-op has none.
broker = InMemoryBroker(cast_types=False).with_serializer(ORJSONSerializer())


@broker.task
async def noop() -> None:
    """Do nothing."""


async def run(jobs: int) -> None:
    """As many at a time as others have workers, because the broker itself sets no limit."""
    for _ in range(jobs // WORKERS):
        for _ in range(WORKERS):
            await noop.kiq()
        await broker.wait_all()


async def main() -> None:
    """Measure; all jobs have run when `run` returns."""
    await broker.startup()
    await measure_async(run, lambda: None)
    await broker.shutdown()


if __name__ == "__main__":
    logging.disable()
    uvloop.run(main())
