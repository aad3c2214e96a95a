"""After any connection, however hostile, the next client is served and the server still closes."""

import re
from contextlib import suppress
from http import HTTPStatus

import pytest
import trio
from _pytest.mark import ParameterSet

from job_service.web.edge import connection, sending, server
from job_service.web.guards import Access
from tests.web.api import Api, check_problem, taking
from tests.web.conftest import MakeApi, Serve
from tests.web.hostile import ALL, SMUGGLED, SMUGGLING, TARGETS, post
from tests.web.wire import Served, Stage, Wire, request

SHORT_SECONDS = 0.05
GOODBYES = ["closes", "closes its half", "resets", "stays"]


def cases(table: dict[str, bytes]) -> list[ParameterSet]:
    """All cases of the table, under their names."""
    return [pytest.param(data, id=name) for name, data in table.items()]


async def send(wire: Wire, data: bytes) -> None:
    """Send what the server takes."""
    with suppress(trio.BrokenResourceError, trio.TooSlowError):
        await wire.send(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    cases(ALL),
)
async def test_after_any_connection_all_is_well(
    api: Api, serve: Serve, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """However it ends, it says nothing in the log, changes nothing, and holds nothing up."""
    monkeypatch.setattr(server, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(connection, "LINGER_SECONDS", SHORT_SECONDS)
    served = await serve(api.app)
    with api.nothing_changes():
        async with served.connect() as stays:
            for goodbye in GOODBYES[:-1]:
                async with served.connect() as wire:
                    await send(wire, data)
                    if goodbye == "closes its half":
                        with suppress(trio.BrokenResourceError):
                            await wire.send_eof()
                        await wire.closes_within(SHORT_SECONDS)
                    elif goodbye == "resets":
                        wire.reset_when_closed()
            await send(stays, data)
            async with served.connect() as wire:
                assert (await wire.ask("/health")).status == 200
            with trio.fail_after(1):
                await served.server.close()
    assert served.record.events == []


@pytest.mark.parametrize("data", cases(SMUGGLING))
async def test_nothing_can_be_smuggled(api: Api, serve: Serve, data: bytes) -> None:
    """If two readers could disagree on a request's end, what follows is not answered.

    RFC 9112, section 6.3: such a connection is closed after its answer, if there is one.
    """
    served = await serve(api.app)
    async with served.connect() as wire:
        await send(wire, data)
        await wire.send_eof()
        told = await wire.until_closed()
    assert b"jobs_created" not in told
    assert len(re.findall(rb"HTTP/1\.1 \d", told)) <= 1
    if data.endswith(SMUGGLED):
        assert b"connection: close" in told.lower() or not told


async def test_chunk_extensions_are_ignored(api: Api, serve: Serve) -> None:
    """RFC 9112, section 7.1.1."""
    served = await serve(api.app)
    async with served.connect() as wire:
        body = b'10;a=b\r\n{"type": "echo"}\r\n0;end\r\nTrailer: x\r\n\r\n'
        await wire.send(post("Transfer-Encoding: chunked") + body)
        assert (await wire.answer()).status == 201
        assert (await wire.ask("/health")).status == 200


@pytest.mark.parametrize("data", cases(TARGETS))
async def test_every_target_is_answered(api: Api, serve: Serve, data: bytes) -> None:
    """All forms of RFC 9112, section 3.2, and those that are none of them, get their answer."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(data)
        await wire.send_eof()
        status = int((await wire.until_closed()).split(b" ")[1])
    assert status < HTTPStatus.INTERNAL_SERVER_ERROR
    assert served.record.events == []


async def test_a_whole_url_names_its_path(api: Api, serve: Serve) -> None:
    """RFC 9112, section 3.2.2: a server must accept the absolute form."""
    served = await serve(api.app)
    async with served.connect() as wire:
        assert (await wire.ask("http://localhost/health")).json == {"status": "ok"}


async def test_a_whole_url_names_the_host(make_api: MakeApi, serve: Serve) -> None:
    """RFC 9112, section 3.2.2: its name counts, whatever the Host header says."""
    served = await serve(make_api(Access(hosts=frozenset({"localhost"}))).app)
    async with served.connect() as wire:
        assert (await wire.ask("http://evil.example/jobs")).status == 421


@pytest.mark.parametrize("path", ["/health", "/jobs", "/metrics", "/nowhere"])
async def test_head_has_no_body_and_keeps_the_connection(api: Api, serve: Serve, path: str) -> None:
    """Only the head comes, with the length that GET would have, and the next request works."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(request(path, method="HEAD") + request("/health"))
        with trio.fail_after(5):
            while wire._unread.count(b"HTTP/1.1 ") < 2:
                await wire._read_on()
        first, _, second = wire._unread.partition(b"\r\n\r\n")
        assert b"content-length: " in first
        assert second.startswith(b"HTTP/1.1 200")


@pytest.mark.slow
async def test_hundreds_of_requests_in_one_packet_are_answered_in_order(
    api: Api, serve: Serve
) -> None:
    """Pipelining goes as deep as a client likes, within what one connection may ask."""
    served = await serve(api.app)
    paths = [f"/jobs/{number}" for number in range(800)]
    async with served.connect() as wire:
        await wire.send(b"".join(request(path) for path in paths))
        details = [check_problem(await wire.answer(), 404, "unknown-job") for _ in paths]
    assert details == [
        f"there is no job {number}, or it is no longer kept" for number in range(800)
    ]


async def test_a_pipelining_client_that_never_reads_is_cut_off(
    api: Api, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its requests wait in its own socket, and then it is gone."""
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.1)
    served = await serve(api.app)
    large = b'"%s"' % (b"x" * 1_000_000)
    body = b'{"type": "echo", "payload": %s}' % large
    async with served.connect() as wire:
        await wire.send(post(f"Content-Length: {len(body)}") + body)
        job = (await wire.answer()).headers["Location"]
        await send(wire, request(job) * 100)
        assert await cut_off(served)
    assert served.record.events == []


async def cut_off(served: Served) -> bool:
    """Whether the server forgets its connections, soon."""
    with trio.move_on_after(5):
        while served.server._connections:
            await trio.sleep(0.01)
        return True
    return False


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (401, ["Content-Length: 100000000"]),
        (401, ["Content-Length: 16"]),
        (401, ["Transfer-Encoding: chunked"]),
        (413, ["Content-Length: 100000000", "Authorization: Bearer word"]),
    ],
)
async def test_a_refused_body_is_not_asked_for(
    make_api: MakeApi, serve: Serve, status: int, fields: list[str]
) -> None:
    """Expect: 100-continue is there to spare a body that would be refused (RFC 9110, 10.1.1)."""
    served = await serve(make_api(Access(tokens=taking("word"))).app)
    async with served.connect() as wire:
        await wire.send(post("Expect: 100-continue", *fields))
        check_problem(await wire.answer(), status)
        assert await wire.until_closed() == b""


async def test_whoever_resets_at_any_byte_leaves_nothing_behind(api: Api, serve: Serve) -> None:
    """A reset at every stage of a request, and of its answer."""
    served = await serve(api.app)
    body = b'{"type": "echo"}'
    whole = post(f"Content-Length: {len(body)}") + body + request("/jobs") + request("/events")
    for length in range(0, len(whole) + 1, 2):
        async with served.connect() as wire:
            await wire.send(whole[:length])
            wire.reset_when_closed()
            if length % 4 == 0:
                await trio.lowlevel.checkpoint()
    assert await cut_off(served)
    assert served.record.events == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(request("/slow_upload"), id="whole"),
        pytest.param(None, id="in pieces"),
    ],
)
async def test_a_handler_may_take_longer_than_a_body_may(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, data: bytes | None
) -> None:
    """BODY_SECONDS is about clients that do not send; one that has sent all waits for us."""
    monkeypatch.setattr(connection, "BODY_SECONDS", 0.1)
    stage = Stage()
    served = await serve(stage)
    async with served.connect() as wire:
        if data is None:
            await wire.send(request("/slow_upload", "Content-Length: 20000", method="POST"))
            with trio.fail_after(5):
                await stage.entered.wait()
            await trio.testing.wait_all_tasks_blocked(0.01)
            await wire.send(bytes(20_000))
        else:
            await wire.send(data)
        assert not await wire.closes_within(0.2)
        stage.release.set()
        assert (await wire.answer()).body == b"at last"
