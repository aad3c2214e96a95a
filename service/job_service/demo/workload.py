"""The shop's workload: a steady trickle of jobs, and now and then more than the queue holds."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import trio

from job_service import JobQueue, QueueClosed, QueueFull, StoreUnavailable
from job_service.demo.shop import Email, Order, Page, Picture, Product, Report

FIRST_BURST_SECONDS: Final = 15.0
BURST_EVERY_SECONDS: Final = 60.0
BURST_SIZE: Final = 1.25  # of the queue's capacity

Submit = Callable[[JobQueue], Awaitable[None]]


async def keep_busy(queue: JobQueue) -> None:
    """Submit jobs of all types until the queue is closed."""
    async with trio.open_nursery() as nursery:
        for submit, mean_seconds in (
            (_order, 0.5),
            (_picture, 0.7),
            (_page, 0.8),
            (_report, 12.0),
            (_stock, 15.0),
            (_parcel, 9.0),
            (_day, 30.0),
        ):
            nursery.start_soon(_now_and_then, submit, mean_seconds, queue)
        nursery.start_soon(_reindex_now_and_then, queue)


async def _now_and_then(submit: Submit, mean_seconds: float, queue: JobQueue) -> None:
    with suppress(QueueClosed):
        while True:
            with suppress(QueueFull, StoreUnavailable):  # which are counted and logged
                await submit(queue)
            await trio.sleep(random.uniform(0.2, 1.8) * mean_seconds)


async def _reindex_now_and_then(queue: JobQueue) -> None:
    await trio.sleep(FIRST_BURST_SECONDS)
    with suppress(QueueClosed):
        while True:
            with suppress(StoreUnavailable):
                await _reindex(queue)
            await trio.sleep(BURST_EVERY_SECONDS)


async def _reindex(queue: JobQueue) -> None:
    """Submit more than the queue holds: it logs `queue_full`, and counts what it refuses."""
    for product_id in range(int((await queue.view()).capacity * BURST_SIZE)):
        with suppress(QueueFull):
            await queue.submit("index", Product(product_id), priority=8)
        await trio.lowlevel.checkpoint()


async def _order(queue: JobQueue) -> None:
    order_id = random.randrange(10_000, 100_000)
    charge = await queue.submit(
        "charge_card", Order(order_id, random.randrange(500, 20_000) / 100), priority=2
    )
    email = Email(f"customer-{order_id}@example.com", f"Your order {order_id}")
    await queue.submit("send_email", email, after=[charge.id])


async def _picture(queue: JobQueue) -> None:
    name = f"product-{random.randrange(1_000)}.jpg"
    await queue.submit("thumbnail", Picture(name, random.choice([320, 640, 1_280])))


async def _page(queue: JobQueue) -> None:
    url = f"https://supplier.example/catalogue/{random.randrange(20)}"
    await queue.submit("fetch_page", Page(url), unique_key=url)


async def _report(queue: JobQueue) -> None:
    await queue.submit("report", Report("Sales", random.randrange(5, 30)))


async def _stock(queue: JobQueue) -> None:
    await queue.submit("sync_stock")


async def _parcel(queue: JobQueue) -> None:
    await queue.submit("parcel", delay_seconds=random.uniform(5, 20))


async def _day(queue: JobQueue) -> None:
    await queue.submit("add_up")
