"""A FastAPI app with the service inside it: one process, on Trio."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import trio
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from hypercorn import Config
from hypercorn.trio import serve
from pydantic import BaseModel

from job_service import (
    IdempotencyKeyReused,
    JobContext,
    JobQueue,
    Registry,
    Retry,
    Settings,
    TryAgainLater,
    UnknownJob,
    host,
)

GRACE_SECONDS = 20

registry = Registry()


class Mail(BaseModel):
    to: str
    subject: str


class Order(BaseModel):
    number: int
    email: str


@registry.job("mail", retry=Retry(max_retries=5), timeout=30)
async def send_mail(mail: Mail, job: JobContext) -> str:
    await trio.sleep(0.1)  # yours talks to a mail server
    job.log.info("mail_sent", to_domain=mail.to.partition("@")[2])
    return f"sent to {mail.to}"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    # At the end the server leaves this block, and the service finishes its jobs.
    async with host(registry, Settings(port=0, grace=GRACE_SECONDS)) as service:
        yield {"queue": service.queue}


def queue_of(request: Request) -> JobQueue:
    queue: JobQueue = request.state.queue
    return queue


Queue = Annotated[JobQueue, Depends(queue_of)]
app = FastAPI(lifespan=lifespan)


# The queue is full, the disk is, or the service ends: whatever it is, customers get an answer.
@app.exception_handler(TryAgainLater)
async def try_again_later(_: Request, error: TryAgainLater) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "5"})


@app.post("/orders", status_code=202)
async def place_order(order: Order, queue: Queue) -> dict[str, str]:
    mail = Mail(to=order.email, subject=f"Your order {order.number}")
    try:
        # If a browser sends its order twice, the mail is sent once.
        job = await queue.submit("mail", mail, idempotency_key=f"order-{order.number}")
    except IdempotencyKeyReused as error:
        raise HTTPException(409, "there is another order with this number") from error
    return {"mail": f"/mails/{job.id}"}


@app.get("/mails/{job_id}")
async def mail_of_order(job_id: str, queue: Queue) -> dict[str, Any]:
    try:
        job = await queue.wait(job_id, seconds=5)
    except UnknownJob as error:
        raise HTTPException(404, str(error)) from error
    return {"status": job.status, "result": job.result and msgspec.json.decode(job.result)}


async def main(port: str) -> None:
    """Serve until the first SIGTERM or Ctrl-C."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.shutdown_timeout = GRACE_SECONDS + 10
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        await serve(app, config, shutdown_trigger=lambda: anext(signals))


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
