"""Procrastinate: `python -m bench.peers.procrastinate_postgres URL JOBS CONCURRENCY`."""

import asyncio
import logging
import sys

from procrastinate import App, PsycopgConnector

from bench.peers.waiting import until_told


async def main(url: str, jobs: int, concurrency: int) -> None:
    """Leave jobs waiting, and run them at a word, until this process is ended."""
    app = App(connector=PsycopgConnector(conninfo=url))

    @app.task(name="noop")
    async def noop() -> None:
        """Do nothing."""

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await noop.batch_defer_async(*[{}] * jobs)
        until_told()
        await app.run_worker_async(concurrency=concurrency)


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
