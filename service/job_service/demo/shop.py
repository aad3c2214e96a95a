"""The shop's job types: some succeed, some fail now and then, some are slow, one never works."""

import random
import time
from typing import Annotated

import trio
from msgspec import Meta, Struct

from job_service import Discard, JobContext, Registry, Retry, Snooze

registry = Registry()


class Email(Struct, forbid_unknown_fields=True):
    """Whom to write to, and about what."""

    to: str
    subject: str


class Order(Struct, forbid_unknown_fields=True):
    """An order to be paid for."""

    order_id: int
    euros: Annotated[float, Meta(gt=0)]


class Picture(Struct, forbid_unknown_fields=True):
    """A picture, and the width in pixels to scale it to."""

    name: str
    width: int


class Page(Struct, forbid_unknown_fields=True):
    """A page of the supplier's website."""

    url: str


class Report(Struct, forbid_unknown_fields=True):
    """What to report on, in how many chapters."""

    title: str
    chapters: Annotated[int, Meta(ge=1, le=1_000)]


class Product(Struct, forbid_unknown_fields=True):
    """A product of the catalogue."""

    product_id: int


@registry.job("send_email", retry=Retry(max_retries=4, base_seconds=1))
async def send_email(email: Email, job: JobContext) -> str:
    """Usually succeeds; the mail server refuses one attempt in eight."""
    await _take(0.05, 0.4)
    if random.random() < 1 / 8:
        raise ConnectionRefusedError("the mail server is busy")
    job.log.info("email_sent", subject=email.subject)
    return "250 OK"


@registry.job("charge_card", retry=Retry(max_retries=2, base_seconds=2))
async def charge_card(order: Order) -> dict[str, float]:
    """One card in ten is declined, and no retry would change that."""
    await _take(0.1, 0.8)
    if random.random() < 1 / 10:
        raise Discard(f"the card of order {order.order_id} was declined")
    return {"charged": order.euros}


@registry.job("thumbnail")
def thumbnail(picture: Picture) -> str:
    """Runs in a thread."""
    time.sleep(random.uniform(0.05, 0.5))
    return f"{picture.name}@{picture.width}w"


@registry.job("fetch_page", concurrency=2, timeout=1.5, retry=Retry(max_retries=2))
async def fetch_page(page: Page) -> str:
    """Two at a time, so as not to annoy the supplier, whose server is sometimes too slow."""
    await _take(0.2, 1.7)
    return f"fetched {page.url}"


@registry.job("report", retry=Retry(max_retries=1))
async def report(wanted: Report, job: JobContext) -> str:
    """Slow, and reports its progress."""
    for chapter in range(1, wanted.chapters + 1):
        job.progress(chapter - 1, wanted.chapters, f"chapter {chapter}")
        await _take(0.5, 1.5)
    job.progress(wanted.chapters, wanted.chapters, "done")
    return f"{wanted.title}, {wanted.chapters} chapters"


@registry.job("index")
async def index(product: Product) -> int:
    """Quick; comes by the thousand."""
    await _take(0.03, 0.12)
    return product.product_id


@registry.job("sync_stock", retry=Retry(max_retries=2, base_seconds=1))
async def sync_stock() -> None:
    """Always fails, because the warehouse does not answer."""
    await _take(0.1, 0.3)
    raise TimeoutError("no answer from the warehouse")


@registry.job("parcel")
async def parcel(job: JobContext) -> str:
    """Checks whether a parcel has arrived, and runs again later if not."""
    await _take(0.05, 0.1)
    if random.random() < 2 / 3:
        raise Snooze(5)
    return f"delivered, seen in run {job.attempt}"


@registry.job("add_up")
async def add_up() -> int:
    """Blocks the event loop, which an `async def` must not do: the log says so, and where."""
    time.sleep(0.4)  # noqa: ASYNC251  # on purpose
    return sum(range(1_000))


@registry.every(seconds=20)
async def tidy_up() -> None:
    """Runs on a schedule."""
    await _take(0.2, 0.6)


async def _take(shortest: float, longest: float) -> None:
    await trio.sleep(random.uniform(shortest, longest))
