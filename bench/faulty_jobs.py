"""Ours under faults: the jobs; `python -m bench.faulty_jobs URL` submits them."""

import os
import sys
import time
from functools import partial
from typing import Final

import psycopg
import trio
from psycopg.types.json import Jsonb

from bench.peers.ledger import note
from bench.peers.orders import Order, take_orders
from job_service import Registry
from job_service.stores.postgres.connection import connect
from job_service.stores.postgres.schema import migrate

_SUBMIT: Final = "SELECT job_service.submit('work', %s, unique_key => %s)"

registry = Registry()


@registry.job("work")
async def work(order: Order) -> None:
    """Take so long, and write down when it starts and ends."""
    ledger = os.environ["BENCH_LEDGER"]
    note(ledger, order["key"], "started")
    if order["blocks"]:
        time.sleep(order["seconds"])  # noqa: ASYNC251  # this is the fault
    else:
        await trio.sleep(order["seconds"])
    note(ledger, order["key"], "ended")


async def submit(url: str, order: Order) -> None:
    """Submit a job from SQL, as any program can."""
    key = order["key"] if order["is_unique"] else None
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_SUBMIT, [Jsonb(order), key])


async def main(url: str) -> None:
    """Make the tables, and submit what is ordered."""
    async with await connect(url) as connection:
        await migrate(connection)
    await take_orders(partial(submit, url))


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
