"""Oban: `python -m bench.peers.oban_postgres URL JOBS LIMIT`."""

import asyncio
import logging
import sys

import uvloop
from oban import Oban, job
from oban.schema import install

from bench.peers.waiting import until_told

IN_ONE_GO = 1_000


@job()
async def noop() -> None:
    """Do nothing."""


async def main(url: str, jobs: int, limit: int) -> None:
    """Leave jobs waiting, and run them at a word, until this process is ended."""
    pool = await Oban.create_pool(url)
    await install(pool)
    oban = Oban(pool=pool, queues={"default": limit})
    for _ in range(jobs // IN_ONE_GO):
        await oban.enqueue_many(*(noop.new() for _ in range(IN_ONE_GO)))
    until_told()
    async with oban:
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable()
    uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:])))
