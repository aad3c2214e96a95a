"""Procrastinate under faults: `… worker URL LEDGER`, or `… client URL`, which defers jobs."""

import asyncio
import sys
import time
from typing import Unpack

from procrastinate import App, JobContext, PsycopgConnector

from bench.peers.ledger import LEASE_SECONDS, WORKERS, note
from bench.peers.orders import Order, take_orders


def app_of(url: str, ledger: str) -> App:
    """Its task, and the one that its documentation has against stalled jobs."""
    app = App(connector=PsycopgConnector(conninfo=url))

    @app.task(name="work")
    async def work(**order: Unpack[Order]) -> None:
        note(ledger, order["key"], "started")
        if order["blocks"]:
            time.sleep(order["seconds"])  # noqa: ASYNC251  # this is the fault
        else:
            await asyncio.sleep(order["seconds"])
        note(ledger, order["key"], "ended")

    @app.periodic(cron="* * * * * *")
    @app.task(name="retry", queueing_lock="retry", pass_context=True)
    async def retry_stalled_jobs(_: JobContext, timestamp: int) -> None:  # noqa: ARG001  # it is named
        stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=LEASE_SECONDS)
        for job in stalled:
            await app.job_manager.retry_job(job)

    return app


async def run_jobs(url: str, ledger: str) -> None:
    """With heartbeats as often as this lease needs."""
    app = app_of(url, ledger)
    async with app.open_async():
        await app.run_worker_async(
            concurrency=WORKERS,
            update_heartbeat_interval=LEASE_SECONDS / 5,
            stalled_worker_timeout=LEASE_SECONDS,
            fetch_job_polling_interval=LEASE_SECONDS / 2,
        )


async def enqueue(url: str) -> None:
    """Make the tables, and defer what is ordered."""
    async with app_of(url, "").open_async() as app:
        await app.schema_manager.apply_schema_async()

    async def send(order: Order) -> None:
        lock = order["key"] if order["is_unique"] else None
        async with app_of(url, "").open_async() as app:
            await app.configure_task("work", queueing_lock=lock).defer_async(**order)

    await take_orders(send)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    asyncio.run(run_jobs(*arguments) if what == "worker" else enqueue(*arguments))
