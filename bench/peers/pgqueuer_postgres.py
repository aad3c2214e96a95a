"""PgQueuer: `python -m bench.peers.pgqueuer_postgres URL JOBS BATCH MANAGERS`."""

import asyncio
import logging
import sys

import asyncpg
import uvloop
from pgqueuer import Job, PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from bench.peers.waiting import until_told


async def noop(_: Job) -> None:
    """Do nothing."""


async def main(url: str, jobs: int, batch: int, managers: int) -> None:
    """Leave jobs waiting, and run them at a word, until this process is ended."""
    drivers = [AsyncpgDriver(await asyncpg.connect(url)) for _ in range(managers)]
    queries = Queries(drivers[0])
    await queries.install()
    await queries.optimize_autovacuum()
    await queries.enqueue(["noop"] * jobs, [None] * jobs, [0] * jobs)
    queuers = [PgQueuer(driver) for driver in drivers]
    for queuer in queuers:
        queuer.entrypoint("noop")(noop)
    until_told()
    await asyncio.gather(*(queuer.run(batch_size=batch) for queuer in queuers))


if __name__ == "__main__":
    logging.disable()
    uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:])))
