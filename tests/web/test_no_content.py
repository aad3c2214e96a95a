"""Answers without content: none to a HEAD, whatever it says, and none with a 204 or a 304."""

import pytest

from job_service.web.edge import connection
from job_service.web.edge.heads import MAX_FIELDS, MAX_REQUEST_LINE_BYTES
from tests.web.api import Api
from tests.web.conftest import Serve
from tests.web.wire import Stage, request

REFUSED = {
    "a target that is too long": ("/" + "x" * MAX_REQUEST_LINE_BYTES, (), "1.1", 414),
    "too many fields": ("/health", ("a: b",) * (MAX_FIELDS + 1), "1.1", 431),
    "a target that is no path": ("*", (), "1.1", 400),
    "a URL of another kind": ("ftp://localhost/", (), "1.1", 400),
    "a malformed field": ("/health", ("a b: c",), "1.1", 400),
    "two hosts": ("/health", ("Host: other",), "1.1", 400),
    "another version": ("/health", (), "2.0", 505),
    "a body with two ends": (
        "/health",
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        "1.1",
        400,
    ),
    "a refusal of the app": ("/nowhere", ("Connection: close",), "1.1", 404),
}


@pytest.mark.parametrize(("path", "fields", "version", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_head_that_is_refused_gets_only_a_head(
    api: Api, serve: Serve, path: str, fields: tuple[str, ...], version: str, status: int
) -> None:
    """RFC 9110, 9.3.2: a client would take a body for the next answer. GET has that length."""
    served = await serve(api.app)
    answers = {}
    for method in ("GET", "HEAD"):
        async with served.connect() as wire:
            await wire.send(request(path, *fields, method=method, version=version))
            head, _, answers[method] = (await wire.until_closed()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            length = b"\r\ncontent-length: %d\r\n" % len(answers["GET"])
            assert length in head
    assert answers["GET"].startswith(b"{")
    assert answers["HEAD"] == b""


@pytest.mark.parametrize("sent", ["HEAD", "HEAD /health HTTP/1.1\r\nHost: loc"])
async def test_a_head_that_does_not_end_gets_only_a_head(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    """Even if it took too long, and nothing but its method has come."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", 0.1)
    served = await serve(Stage())
    async with served.connect() as wire:
        for piece in sent:
            await wire.send(piece.encode())
        answer = await wire.until_closed()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"\r\n\r\n")


async def test_a_head_on_a_connection_too_many_gets_only_a_head(serve: Serve) -> None:
    """What is asked is looked at before the refusal leaves."""
    served = await serve(Stage(), max_connections=1)
    async with served.connect() as first:
        assert (await first.ask("/hello")).status == 200
        async with served.connect() as late:
            await late.send(request("/hello", method="HEAD"))
            answer = await late.until_closed()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"\r\n\r\n")


async def test_each_request_of_a_connection_counts_for_itself(api: Api, serve: Serve) -> None:
    """A HEAD takes nothing from the refusal of the request behind it."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(request("/health", method="HEAD") + request("*"))
        _, _, refusal = (await wire.until_closed()).partition(b"\r\n\r\n")
    head, _, body = refusal.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body.startswith(b"{")


async def test_a_head_that_waits_to_send_a_body_gets_only_a_head(api: Api, serve: Serve) -> None:
    """With `Expect` it is not asked for a body that nobody reads."""
    served = await serve(api.app)
    async with served.connect() as wire:
        fields = ("Expect: 100-continue", "Content-Length: 5")
        await wire.send(request("/health", *fields, method="HEAD"))
        answer, rest = (await wire.until_closed()).split(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"connection: close")
    assert rest == b""


@pytest.mark.parametrize("closes", [True, False])
async def test_nothing_comes_with_a_304_or_a_204(api: Api, serve: Serve, closes: bool) -> None:
    """No body, and no header that speaks of one, even if it is the last of its connection."""
    served = await serve(api.app)
    last = ("Connection: close",) if closes else ()
    async with served.connect() as wire:
        etag = (await wire.ask("/openapi.json")).headers["ETag"]
    for asked, status in (
        (request("/openapi.json", f"If-None-Match: {etag}", *last), 304),
        (request("*", *last, method="OPTIONS"), 204),
    ):
        async with served.connect() as wire:
            await wire.send(asked)
            answer = await wire.answer()
            assert answer.status == status
            assert not {"Content-Length", "Content-Type", "Transfer-Encoding"} & set(
                answer.headers.keys()
            )
            assert ("Connection" in answer.headers) == closes
            if closes:
                assert await wire.until_closed() == b""
            else:
                assert (await wire.ask("/health")).json == {"status": "ok"}
