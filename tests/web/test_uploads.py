"""Bodies on their way in: who is slow keeps nobody else out, and all of them have one bound."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import partial

import pytest
import trio
import trio.testing

from job_service.jobs.state.model import Draft
from job_service.web import app
from job_service.web.submissions import Batches
from job_service.web.uploads import Uploads
from tests.web.api import JSON, Api, check_problem
from tests.web.conftest import MakeApi, Serve
from tests.web.wire import request

NDJSON = {"Content-Type": "application/x-ndjson"}
ECHO = b'{"type": "echo"}'
ROOM = 1_000


def line(length: int) -> bytes:
    """A line of a batch that is so long."""
    return ECHO.ljust(length - 1) + b"\n"


@pytest.fixture
def small(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The API with little room for what is being uploaded."""
    monkeypatch.setattr(app, "Uploads", partial(Uploads, ROOM))
    return make_api()


@pytest.mark.parametrize("begun", [b"", ECHO, line(500_000)], ids=["nothing", "a job", "500 kB"])
async def test_slow_uploads_keep_nobody_out(api: Api, begun: bytes) -> None:
    """However many there are: others' batches and jobs are taken meanwhile."""
    async with AsyncExitStack() as slow:
        for _ in range(40):
            upload = await slow.enter_async_context(api.uploading("/jobs/batch", NDJSON))
            await upload.send(begun)
        assert (await api.ask("/jobs/batch", "POST", NDJSON, ECHO)).status == 201
        assert (await api.ask_in_pieces("/jobs/batch", NDJSON, ECHO, b"\n", ECHO)).status == 201
        assert (await api.post(ECHO)).status == 201
        assert upload.status is None


@pytest.mark.parametrize(("path", "headers"), [("/jobs/batch", NDJSON), ("/jobs", JSON)])
async def test_who_began_first_gives_way_to_who_is_quicker(
    small: Api, path: str, headers: dict[str, str]
) -> None:
    """It is told that it may try again; and as soon as there is room, nobody gives way."""
    async with (
        small.uploading(path, headers) as first,
        small.uploading("/jobs/batch", NDJSON) as second,
        small.uploading("/jobs/batch", NDJSON) as third,
    ):
        await first.send(line(600))
        await second.send(line(300))
        assert (first.status, second.status) == (None, None)
        await third.send(line(600))
        answer = await first.answer()
        check_problem(answer, 429, "too-many-uploads")
        assert int(answer.headers["Retry-After"]) > 0
        for other in (second, third):
            await other.end()
            assert other.status == 201


async def test_who_needs_all_the_room_for_itself_gives_way(small: Api) -> None:
    """One that began before all others has nobody else to blame."""
    async with small.uploading("/jobs/batch", NDJSON) as only:
        await only.send(line(ROOM))
        await only.send(b" ")
        check_problem(await only.answer(), 429, "too-many-uploads")
    assert (await small.ask_in_pieces("/jobs/batch", NDJSON, line(ROOM))).status == 201


async def test_what_has_come_whole_does_not_give_way(
    small: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client has done its part. While it is being checked there is that much less room."""
    go_on = trio.Event()
    check = Batches._check

    async def check_slowly(batches: Batches, what: str, texts: Iterable[bytes]) -> list[Draft]:
        await go_on.wait()
        return await check(batches, what, texts)

    monkeypatch.setattr(Batches, "_check", check_slowly)
    async with (
        small.uploading("/jobs/batch", NDJSON) as whole,
        small.uploading("/jobs/batch", NDJSON) as late,
    ):
        await whole.send(line(600))
        await whole.end()
        await late.send(line(600))
        check_problem(await late.answer(), 429, "too-many-uploads")
        go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        assert whole.status == 201


async def test_all_room_is_given_back(small: Api) -> None:
    """By those who are done, those who leave, those who gave way and those who were refused."""
    async with small.uploading("/jobs/batch", NDJSON) as done:
        await done.send(line(700))
        await done.end()
    async with small.uploading("/jobs/batch", NDJSON) as gone:
        await gone.send(line(700))
    async with (
        small.uploading("/jobs/batch", NDJSON) as slow,
        small.uploading("/jobs/batch", NDJSON) as quick,
    ):
        await slow.send(line(700))
        await quick.send(line(700))
    refused = await small.ask_in_pieces("/jobs/batch", NDJSON, b"nonsense".ljust(700))
    statuses = [done.status, gone.status, slow.status, quick.status, refused.status]
    assert statuses == [201, 408, 429, 408, 400]
    assert (await small.ask_in_pieces("/jobs/batch", NDJSON, line(ROOM))).status == 201


async def test_a_client_hears_of_it_while_it_uploads(small: Api, serve: Serve) -> None:
    """Over a real connection, where the answer comes before the body has ended."""
    served = await serve(small.app)
    head = request("/jobs/batch", "Transfer-Encoding: chunked", method="POST")
    head = head[:-2] + b"Content-Type: application/x-ndjson\r\n\r\n"
    async with served.connect() as slow, served.connect() as quick:
        await slow.send(head + b"258\r\n" + line(600) + b"\r\n")
        await trio.testing.wait_all_tasks_blocked(0.01)
        await quick.send(head + b"258\r\n" + line(600) + b"\r\n")
        check_problem(await slow.answer(), 429, "too-many-uploads")
        await quick.send(b"0\r\n\r\n")
        assert (await quick.answer()).status == 201
