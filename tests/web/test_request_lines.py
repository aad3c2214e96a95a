"""Methods, targets and versions: what is what, to the letter of RFC 9110 and RFC 9112."""

import pytest

from job_service.web.guards import Access
from tests.web.api import Api, check_problem, taking
from tests.web.conftest import MakeApi, Serve
from tests.web.wire import plain_post, request


@pytest.mark.parametrize("method", ["get", "Get", "post", "head", "BREW", "QUERY", "M-SEARCH"])
async def test_a_method_is_meant_to_the_letter(api: Api, serve: Serve, method: str) -> None:
    """RFC 9110, section 9.1: methods are case-sensitive, and a path takes no others than it says.

    It is the client's mistake, so no 5xx; and the connection goes on.
    """
    served = await serve(api.app)
    body = b'{"type": "echo"}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send(request("/jobs", *headers, method=method) + body)
            answer = await wire.answer()
            check_problem(answer, 405)
            assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
            check_problem(await wire.ask("/nowhere", method=method), 404)
            assert (await wire.ask("/health")).status == 200


@pytest.mark.parametrize("method", ["CONNECT", "get\t", "G(T", "a,b"])
async def test_what_is_no_method_for_us_ends_the_connection(
    api: Api, serve: Serve, method: str
) -> None:
    """Nobody knows what such a client sends next; after CONNECT it would be another protocol."""
    served = await serve(api.app)
    body = b'{"type": "echo"}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send(request("/jobs", *headers, method=method) + body)
            check_problem(await wire.answer(), 400)
            assert await wire.until_closed() == b""


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
async def test_a_known_method_that_a_path_does_not_take_is_refused_there(
    api: Api, serve: Serve, method: str
) -> None:
    """RFC 9110, section 15.5.6: a 405 names those it takes, and the connection goes on."""
    served = await serve(api.app)
    async with served.connect() as wire:
        answer = await wire.ask("/health", method=method)
        check_problem(answer, 405)
        assert "GET" in answer.headers["Allow"]
        assert (await wire.ask("/health")).status == 200


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.9"])
@pytest.mark.parametrize("path", ["/jobs", "/health"])
async def test_who_speaks_a_later_version_names_the_host_as_well(
    api: Api, serve: Serve, version: str, path: str
) -> None:
    """A version that is read as 1.1 is held to what 1.1 asks for (RFC 9112, section 3.2)."""
    served = await serve(api.app)
    body = b'{"type": "echo"}'
    lines = [f"POST {path} HTTP/{version}", "Content-Type: application/json", "Content-Length: 16"]
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send("\r\n".join([*lines, "", ""]).encode() + body)
            check_problem(await wire.answer(), 400)
            assert await wire.until_closed() == b""


@pytest.mark.parametrize("version", ["2.0", "0.9", "3.0", "9.9"])
@pytest.mark.parametrize("path", ["/jobs", "*"])
async def test_another_version_makes_no_job(
    api: Api, serve: Serve, version: str, path: str
) -> None:
    """Neither a request that says it is HTTP/2, nor the preface of the real one: 505."""
    served = await serve(api.app)
    body = b'{"type": "echo"}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    method = "POST" if path == "/jobs" else "PRI"
    with api.nothing_changes():
        async with served.connect() as wire:
            await wire.send(request(path, *headers, method=method, version=version) + body)
            check_problem(await wire.answer(), 505)
            assert await wire.until_closed() == b""


async def test_the_preface_of_http_2_is_refused(api: Api, serve: Serve) -> None:
    """A client with prior knowledge hears that it was wrong."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        check_problem(await wire.answer(), 505)
        assert await wire.until_closed() == b""
    assert served.record.events == []


async def test_a_later_version_of_http_1_is_http_1_1(api: Api, serve: Serve) -> None:
    """RFC 9110, section 6.2: within a major version each can be read as the one before."""
    served = await serve(api.app)
    async with served.connect() as wire:
        for _ in range(2):
            await wire.send(request("/health", version="1.9"))
            assert (await wire.answer()).status == 200


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://localhost/health", "/health"),
        ("HTTP://localhost:80/jobs?limit=1", "/jobs?limit=1"),
        ("https://localhost/health", "/health"),
        ("http://localhost", "/"),
        ("http://localhost:8080", "/"),
        ("http://localhost?limit=1", "/?limit=1"),
        ("http://localhost//health", "//health"),
    ],
)
async def test_a_whole_url_names_its_path(api: Api, serve: Serve, target: str, path: str) -> None:
    """RFC 9112, section 3.2.2: a server must accept the absolute form; without a path it is /."""
    served = await serve(api.app)
    async with served.connect() as wire:
        whole = await wire.ask(target)
        assert whole.status == (await wire.ask(path)).status
        assert (whole.status == 404) == path.startswith("//")


@pytest.mark.parametrize("target", ["http://evil.example/jobs", "http://evil.example"])
async def test_a_whole_url_names_the_host(make_api: MakeApi, serve: Serve, target: str) -> None:
    """RFC 9112, section 3.2.2: its name counts, whatever the Host header says."""
    served = await serve(make_api(Access(hosts=frozenset({"localhost"}), tokens=taking("t"))).app)
    async with served.connect() as wire:
        check_problem(await wire.ask(target), 421)
        assert (await wire.ask("http://localhost/jobs", "Authorization: Bearer t")).status == 200


@pytest.mark.parametrize(
    "target",
    [
        *("ftp://localhost/health", "http:///health", "http:/health", "localhost:80", "health"),
        *("http://[::1", "?", "#", "*", "**", "*/health", "http://user@localhost/health"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_names_no_path_is_refused(
    api: Api, serve: Serve, method: str, target: str
) -> None:
    """None of the forms of RFC 9112, section 3.2, or not for this method."""
    served = await serve(api.app)
    async with served.connect() as wire:
        check_problem(await wire.ask(target, method=method), 400)


@pytest.mark.parametrize("target", ["*", "http://localhost"])
async def test_options_may_ask_about_the_server(api: Api, serve: Serve, target: str) -> None:
    """RFC 9112, section 3.2.4, in both forms."""
    served = await serve(api.app)
    async with served.connect() as wire:
        answer = await wire.ask(target, method="OPTIONS")
        assert answer.status == 204
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, PATCH, POST"


@pytest.mark.parametrize(
    "path", ["//jobs", "///jobs", "//", "/%2Fjobs", "/%2fhealth", "//localhost/jobs", "//health"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_two_slashes_are_not_one(api: Api, serve: Serve, path: str, method: str) -> None:
    """They are no host, and /jobs is another path."""
    served = await serve(api.app)
    with api.nothing_changes():
        async with served.connect() as wire:
            if method == "POST":
                await wire.send(plain_post(path))
                check_problem(await wire.answer(), 404)
            else:
                check_problem(await wire.ask(path), 404)
            assert (await wire.ask("/health")).status == 200
