"""awa: `python -m bench.peers.awa_postgres URL JOBS WORKERS`."""

import asyncio
import logging
import sys
from dataclasses import dataclass

import uvloop
from awa import AsyncClient, Job

from bench.peers.waiting import until_told


@dataclass
class Noop:
    """A job without arguments."""


async def main(url: str, jobs: int, workers: int) -> None:
    """Leave jobs waiting, and run them at a word, until this process is ended."""
    # It takes the folder of a socket only beside the name of a host.
    client = AsyncClient(url.replace("@/", "@localhost/"))
    await client.migrate()
    await client.install_queue_storage()

    @client.task(Noop, queue="default")
    async def noop(_: Job) -> None:
        """Do nothing."""

    await client.enqueue_many_copy([Noop()] * jobs, queue="default")
    until_told()
    await client.start([("default", workers)])
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable()
    uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:])))
