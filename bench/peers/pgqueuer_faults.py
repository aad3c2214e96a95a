"""PgQueuer under faults: `… worker URL LEDGER`, or `… client URL`, which enqueues what it reads."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import asyncpg
import pgqueuer
from pgqueuer import Job, PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from bench.peers.ledger import LEASE_SECONDS, WORKERS, note
from bench.peers.orders import Order, take_orders


@asynccontextmanager
async def queuer(url: str, ledger: str) -> AsyncIterator[PgQueuer]:
    """What is run, and made anew after an error."""
    connection = await asyncpg.connect(url)
    try:
        queuer = PgQueuer(AsyncpgDriver(connection))

        @queuer.entrypoint("work")
        async def work(job: Job) -> None:
            order: Order = json.loads(job.payload or b"")
            note(ledger, order["key"], "started")
            if order["blocks"]:
                time.sleep(order["seconds"])  # noqa: ASYNC251  # this is the fault
            else:
                await asyncio.sleep(order["seconds"])
            note(ledger, order["key"], "ended")

        yield queuer
    finally:
        connection.terminate()


async def run_jobs(url: str, ledger: str) -> None:
    """With what its documentation offers against faults."""
    await pgqueuer.run(
        partial(queuer, url, ledger),
        batch_size=WORKERS,
        heartbeat_timeout=timedelta(seconds=LEASE_SECONDS),
        dequeue_timeout=timedelta(seconds=LEASE_SECONDS / 2),
        shutdown_on_listener_failure=True,
        restart_on_failure=True,
        restart_delay=timedelta(seconds=LEASE_SECONDS / 4),
    )


async def enqueue(url: str) -> None:
    """Make the tables, and enqueue what is ordered."""
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()

    async def send(order: Order) -> None:
        connection = await asyncpg.connect(url)
        try:
            payload = json.dumps(order).encode()
            key = order["key"] if order["is_unique"] else None
            await Queries(AsyncpgDriver(connection)).enqueue("work", payload, dedupe_key=key)
        finally:
            connection.terminate()

    await take_orders(send)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    asyncio.run(run_jobs(*arguments) if what == "worker" else enqueue(*arguments))
