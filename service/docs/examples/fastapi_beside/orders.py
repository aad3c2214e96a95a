"""A FastAPI app that hands its slow work to a job service beside it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from mails import Address, Mail
from pydantic import BaseModel

from job_service import IdempotencyKeyReused, TryAgainLater, UnknownJob
from job_service.client import AsyncJobClient

JOBS_URL = os.environ.get("SHOP_JOBS_URL", "http://127.0.0.1:8080")


class Order(BaseModel):
    number: int
    email: Address


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    # One client for all requests. It repeats a submission safely, but no request waits for long.
    async with AsyncJobClient(JOBS_URL, patience_seconds=2) as jobs:
        yield {"jobs": jobs}


def jobs_of(request: Request) -> AsyncJobClient:
    jobs: AsyncJobClient = request.state.jobs
    return jobs


Jobs = Annotated[AsyncJobClient, Depends(jobs_of)]
app = FastAPI(lifespan=lifespan)


# The service is away, restarts, or is full: whatever it is, customers get an answer.
@app.exception_handler(TryAgainLater)
async def try_again_later(_: Request, error: TryAgainLater) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "5"})


@app.post("/orders", status_code=202)
async def place_order(order: Order, jobs: Jobs) -> dict[str, str]:
    mail = Mail(to=order.email, subject=f"Your order {order.number}")
    try:
        # If a browser sends its order twice, the mail is sent once.
        job = await jobs.submit("mail", mail, idempotency_key=f"order-{order.number}")
    except IdempotencyKeyReused as error:
        raise HTTPException(409, "there is another order with this number") from error
    return {"mail": f"/mails/{job.id}"}


@app.get("/mails/{job_id}")
async def mail_of_order(job_id: str, jobs: Jobs) -> dict[str, Any]:
    try:
        job = await jobs.wait(job_id, seconds=5)
    except UnknownJob as error:
        raise HTTPException(404, str(error)) from error
    return {"status": job.status, "result": job.result and msgspec.json.decode(job.result)}
