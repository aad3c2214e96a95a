"""The routes on an engine rig, asked in-process: no sockets, so virtual time will do."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import trio
import trio.testing
from quart_trio.testing import TrioClient
from werkzeug.datastructures import Headers

from job_service.access.tokens import Tokens, parse_token
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.jobs.registration.retry import Retry
from job_service.web.app import create_app
from job_service.web.guards import Access
from tests.conftest import Rig

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What a client was told."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Upload:
    """A request whose body the test sends, a piece at a time."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.connection: Any = None

    async def send(self, piece: bytes) -> None:
        """Send a piece, and let the service do with it what it likes."""
        await self.connection.send(piece)
        await trio.testing.wait_all_tasks_blocked()

    async def end(self) -> None:
        """The body has come to its end."""
        await self.connection.send_complete()
        await trio.testing.wait_all_tasks_blocked()

    @property
    def status(self) -> int | None:
        """The status of the answer, or None if there is none yet."""
        status: int | None = self.request.status_code
        return status

    async def answer(self) -> Answer:
        """What the client was told."""
        response = await self.request.as_response()
        return Answer(response.status_code, response.headers, await response.get_data(False))


class Api:
    """The HTTP API of one rig, and a client that asks it."""

    def __init__(
        self,
        rig: Rig,
        access: Access | None = None,
        *,
        store_trouble: Callable[[], str | None] = lambda: None,
        why_idle: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.rig = rig
        self.app = create_app(
            rig.queue,
            registry=rig.registry,
            read_metrics=lambda: rig.metrics.snapshot(
                rig.engine.jobs_bytes, rig.engine.oldest_ready
            ),
            history=rig.history,
            list_workers=rig.engine.workers,
            feed=rig.feed,
            is_ready=lambda: rig.engine.accepting,
            emit=rig.engine._emit,
            access=access or Access(),
            store_trouble=store_trouble,
            why_idle=why_idle,
        )
        self.client = TrioClient(self.app, use_cookies=False)

    async def ask(
        self,
        path: str,
        method: str = "GET",
        headers: dict[str, str] | Headers | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Any request; no header is added."""
        response = await self.client.open(path, method=method, headers=headers, data=body)
        return Answer(response.status_code, response.headers, await response.get_data(False))

    async def ask_in_pieces(
        self, path: str, headers: dict[str, str], *pieces: bytes, complete: bool = True
    ) -> Answer:
        """A POST whose body comes in pieces, and may be left incomplete."""
        request = self.client.request(path, method="POST", headers=headers)
        async with request as connection:
            for piece in pieces:
                await connection.send(piece)
            if complete:
                await connection.send_complete()
        response = await request.as_response()
        return Answer(response.status_code, response.headers, await response.get_data(False))

    @asynccontextmanager
    async def uploading(self, path: str, headers: dict[str, str]) -> AsyncIterator["Upload"]:
        """A POST whose body is sent within the block; the client is gone when that ends."""
        upload = Upload(self.client.request(path, method="POST", headers=headers))
        async with upload.request as upload.connection:
            yield upload
            await upload.connection.disconnect()

    async def post(self, body: bytes) -> Answer:
        """`POST /jobs` with this body, said to be JSON."""
        return await self.ask("/jobs", "POST", JSON, body)

    async def submit(self, type: str, payload: Any = None, **more: Any) -> str:
        """Submit a job that is to be accepted; gives its id."""
        answer = await self.post(msgspec.json.encode({"type": type, "payload": payload, **more}))
        assert answer.status == 201, answer
        job_id: str = answer.json["id"]
        return job_id

    async def read_job(self, job_id: str) -> dict[str, Any]:
        """All of a job, which is to exist."""
        answer = await self.ask(f"/jobs/{job_id}")
        assert answer.status == 200, answer
        job: dict[str, Any] = answer.json
        return job

    async def listed(self, query: str = "") -> list[str]:
        """The ids that `GET /jobs` lists."""
        answer = await self.ask(f"/jobs{query}")
        assert answer.status == 200, answer
        return [job["id"] for job in answer.json]

    def counters(self) -> dict[str, float]:
        """All metrics that must not move by themselves, after checking that the books balance."""
        counters: dict[str, float] = msgspec.structs.asdict(self.rig.snapshot())
        del counters["uptime_seconds"]
        return counters

    @contextmanager
    def nothing_changes(self) -> Iterator[None]:
        """Check that the block moves no counter and that no event is told in it."""
        counters, events = self.counters(), list(self.rig.record.events)
        yield
        assert self.counters() == counters
        assert self.rig.record.events == events


def check_problem(answer: Answer, status: int, kind: str | None = None) -> str:
    """Check that the answer is this error, told as RFC 9457 wants it; gives its detail."""
    assert answer.status == status, answer
    assert answer.headers.get("Content-Type") == "application/problem+json"
    assert list(answer.json) == ["type", "title", "status", "detail"]
    assert answer.json["type"] == (f"/problems/{kind}" if kind else "about:blank")
    assert answer.json["title"]
    assert answer.json["status"] == status
    detail: str = answer.json["detail"]
    assert detail
    return detail


def taking(*texts: str) -> Tokens:
    """The tokens that these texts are."""
    return Tokens(map(parse_token, texts))


class Email(msgspec.Struct):
    """A payload that lets unknown fields pass, as msgspec does unless it is told not to."""

    to: str


def job_types() -> Registry:
    """The job types of the tests."""
    registry = Registry()

    @registry.job("echo")
    async def echo(payload: Any) -> Any:
        return payload

    @registry.job("email", retry=Retry(max_retries=5))
    async def email(payload: Email) -> None:
        pass

    @registry.job("flaky", retry=Retry(base_seconds=60, jitter=0))
    async def flaky(payload: int, job: JobContext) -> str:
        if job.attempt <= payload:
            raise RuntimeError(f"attempt {job.attempt} fails")
        return "done"

    @registry.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()

    return registry
