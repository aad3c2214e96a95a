"""Several tokens, the names a service is known by, and the pages that may call it."""

from dataclasses import replace

import pytest
from werkzeug.datastructures import Headers

from job_service.service_http import access_of
from job_service.settings import Settings
from job_service.web.guards import Access
from tests.web.api import JSON, Answer, Api, check_problem, taking
from tests.web.conftest import MakeApi, Serve
from tests.web.wire import request

LOCAL = [
    *("localhost", "localhost:8080", "LOCALHOST:1", "localhost.", "localhost.:80", "LocalHost."),
    *("127.0.0.1", "127.0.0.1:8080", "127.0.0.53", "127.1.2.3:65535", "[::1]", "[::1]:8080"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]:8080"),
    *("[0:0:0:0:0:0:0:1]", "allowed.example", "Allowed.Example:443", "allowed.example."),
]
FOREIGN = [
    *("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("evil-localhost", "localhostx", "0.0.0.1", "0", "10.0.0.1", "169.254.169.254", "[::]"),
    *("[fe80::1]", "[::ffff:10.0.0.1]", "2130706433", "0x7f.1", "127.0.0.1.nip.io", "", " "),
    *("evil.example/localhost", "user@localhost", "evil.example, localhost", "xn--lcalhost-54a"),
    *("sub.allowed.example", "allowed.example.evil.example", "b\xfccher.example", "[", "[]", ":80"),
]
OUR_ORIGIN = "http://localhost"
FRIEND = "https://friend.example"
STRANGERS = [
    *("https://evil.example", "null", "http://localhost:81", "http://localhost.evil.example", ""),
    *("https://friend.example.evil.example", "https://friend.example:444", "friend.example"),
    *(
        "http://friend.example",
        "https://FRIEND.example.",
        "file://",
        "http://evil.example,localhost",
    ),
    *("https://evil.example https://friend.example", "http://user@localhost", "localhost"),
    *("chrome-extension://abcdefgh", "http://127.0.0.1", "*"),
]
CHANGES = [("POST", "/jobs"), ("POST", "/jobs/1/cancel"), ("DELETE", "/jobs/1"), ("PUT", "/jobs")]


def at(host: str | None = "localhost", **headers: str) -> dict[str, str]:
    """The headers of a call."""
    return JSON | ({} if host is None else {"Host": host}) | headers


async def call(
    api: Api, headers: dict[str, str] | Headers, path: str = "/jobs", method: str = "GET"
) -> Answer:
    """A call, with a job to submit."""
    return await api.ask(path, method, headers, b'{"type": "echo"}')


def cors(answer: Answer) -> list[str]:
    """What a browser reads as permissions."""
    return [name for name, _ in answer.headers if name.lower().startswith("access-control")]


@pytest.fixture
def local(make_api: MakeApi) -> Api:
    """The API of a service that is open to its own machine."""
    return make_api(access_of(Settings(allow_host=("allowed.example",))))


@pytest.fixture
def befriended(make_api: MakeApi) -> Api:
    """The API with a token and a site whose pages may call."""
    return make_api(Access(tokens=taking("word"), origins=frozenset({FRIEND})))


@pytest.mark.parametrize("host", LOCAL)
async def test_a_service_of_this_machine_has_many_names(local: Api, host: str) -> None:
    """All of loopback's, at any port, in any case, and those that were allowed."""
    assert (await call(local, at(host))).status == 200
    assert (await call(local, at(host), method="POST")).status == 201


@pytest.mark.parametrize("host", FOREIGN)
async def test_no_other_name_leads_here(local: Api, serve: Serve, host: str) -> None:
    """A page whose name was made to point to 127.0.0.1 (DNS rebinding) gets 421."""
    served = await serve(local.app)
    with local.nothing_changes():
        async with served.connect() as wire:
            for method in ("GET", "POST", "OPTIONS", "DELETE"):
                await wire.send(f"{method} /jobs HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin1"))
                answer = await wire.answer()
                if answer.status == 400:  # no host name at all
                    break
                check_problem(answer, 421)
                assert not cors(answer)


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_health_checks_are_open_by_any_name(local: Api, path: str) -> None:
    """A load balancer asks by whatever name it likes, and from whatever page."""
    assert (await call(local, at("evil.example"), path)).status in (200, 503)
    assert (await call(local, at("evil.example", Origin="null"), path)).status in (200, 503)


async def test_http_1_0_needs_no_host(local: Api, serve: Serve) -> None:
    """No browser speaks it; with a foreign name it is refused all the same."""
    served = await serve(local.app)
    for lines, status in ((b"", 200), (b"Host: localhost\r\n", 200), (b"Host: evil\r\n", 421)):
        async with served.connect() as wire:
            await wire.send(b"GET /jobs HTTP/1.0\r\n" + lines + b"\r\n")
            assert (await wire.answer()).status == status


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        (Settings(), 421),
        (Settings(tokens=("word",)), 401),
        (Settings(no_auth=True), 421),
        (Settings(host="0.0.0.0", no_auth=True), 200),  # noqa: S104
        (Settings(unix="/tmp/service"), 200),  # noqa: S108
        (Settings(host="0.0.0.0", tokens=("word",)), 401),  # noqa: S104
        (Settings(tokens=("word",), allow_host=("a.example",)), 421),
        (Settings(no_auth=True, allow_host=("a.example",)), 421),
        (Settings(unix="/tmp/service", allow_host=("a.example",)), 421),  # noqa: S108
    ],
    ids=repr,
)
async def test_names_are_checked_where_nothing_else_is(
    make_api: MakeApi, settings: Settings, status: int
) -> None:
    """Without a token on loopback, and wherever --allow-host says so."""
    api = make_api(access_of(settings))
    assert (await call(api, at("other.example"))).status == status


async def test_each_of_several_tokens_lets_in(make_api: MakeApi) -> None:
    """And nothing made of two of them does."""
    api = make_api(Access(tokens=taking("first", "sec0nd", "dritter-schl\xfcssel")))
    for word in ("first", "sec0nd", "dritter-schl\xfcssel"):
        assert (await call(api, at(Authorization=f"Bearer {word}"))).status == 200
    for word in ("first,sec0nd", "first sec0nd", "firstsec0nd", "f", "", "sec0nd\t first"):
        check_problem(await call(api, at(Authorization=f"Bearer {word}")), 401)


def test_terms_do_not_show_their_tokens() -> None:
    """In a repr, a traceback or an assertion."""
    assert "word" not in repr(Access(tokens=taking("word")))
    assert "word" not in repr(replace(Settings(), tokens=("word",)))


@pytest.mark.parametrize("origin", STRANGERS)
@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_pages_of_other_sites_may_change_nothing(
    befriended: Api, local: Api, origin: str, method: str, path: str
) -> None:
    """403, with a token or without one, and nothing happens."""
    for api in (befriended, local):
        headers = at(Origin=origin, Authorization="Bearer word")
        with api.nothing_changes():
            answer = await call(api, headers, path, method)
        check_problem(answer, 403)
        assert not cors(answer)


@pytest.mark.parametrize("origin", STRANGERS)
async def test_pages_of_other_sites_can_read_nothing(befriended: Api, origin: str) -> None:
    """A GET is answered, as to any client, but no browser shows it to such a page."""
    headers = at(Origin=origin, Authorization="Bearer word")
    answer = await call(befriended, headers)
    assert answer.status == 200
    assert not cors(answer)
    assert "Origin" in answer.headers["Vary"]
    preflight = await call(befriended, at(Origin=origin), method="OPTIONS")
    assert preflight.status == 401
    assert not cors(preflight)


@pytest.mark.slow
@pytest.mark.parametrize("origin", [None, OUR_ORIGIN, "https://localhost"])
async def test_our_own_pages_and_other_clients_may_call(local: Api, origin: str | None) -> None:
    """The same origin passes, and so does who is no browser; neither needs CORS."""
    headers = at() if origin is None else at(Origin=origin)
    answer = await call(local, headers, method="POST")
    assert answer.status == 201
    assert not cors(answer)
    assert "Vary" not in answer.headers


async def test_our_own_pages_may_call_at_any_port(local: Api) -> None:
    """If Host names the port, so does Origin."""
    headers = at("localhost:8080", Origin="http://localhost:8080")
    assert (await call(local, headers, method="POST")).status == 201
    check_problem(await call(local, at("localhost:8080", Origin=OUR_ORIGIN), method="POST"), 403)


OURS = [
    *(("jobs.example", "https://jobs.example"), ("jobs.example", "http://jobs.example")),
    *(("jobs.example:443", "https://jobs.example"), ("jobs.example:80", "http://jobs.example")),
    *(("jobs.example", "https://jobs.example:443"), ("jobs.example", "http://jobs.example:80")),
    *(("jobs.example:", "https://jobs.example"), ("Jobs.Example", "https://jobs.example")),
    *(("jobs.example:8443", "https://jobs.example:8443"), ("[::1]:443", "https://[::1]")),
    *(("jobs.example:8080", "http://jobs.example:8080"), ("[::1]", "http://[::1]")),
]
NOT_OURS = [
    *(("jobs.example:443", "http://jobs.example"), ("jobs.example:80", "https://jobs.example")),
    *(("jobs.example:443", "http://jobs.example:443"), ("jobs.example", "http://jobs.example:443")),
    *(("jobs.example", "https://jobs.example:80"), ("jobs.example:8443", "https://jobs.example")),
    *(("jobs.example", "https://jobs.example:8443"), ("jobs.example", "https://jobs.example.")),
    *(("jobs.example", "https://jobs"), ("jobs.example", "ftp://jobs.example"), ("", "null")),
    *(("jobs.example", "jobs.example"), ("jobs.example", "https://jobs.example/"), ("", "http://")),
    *(("jobs.example", "https://jobs.example:99999"), ("jobs.example", "null"), ("", "https://x")),
]


@pytest.mark.parametrize(("host", "origin"), OURS)
async def test_a_port_that_is_left_out_is_that_of_the_scheme(
    make_api: MakeApi, host: str, origin: str
) -> None:
    """Browsers leave it out of an Origin, and some proxies put it into Host."""
    api = make_api(Access(tokens=taking("word")))
    headers = at(host, Origin=origin, Authorization="Bearer word")
    assert (await call(api, headers, method="POST")).status == 201


@pytest.mark.parametrize(("host", "origin"), NOT_OURS)
async def test_another_port_or_scheme_is_another_origin(
    make_api: MakeApi, host: str, origin: str
) -> None:
    """As browsers see it themselves (RFC 6454, section 5)."""
    api = make_api(Access(tokens=taking("word")))
    with api.nothing_changes():
        headers = at(host, Origin=origin, Authorization="Bearer word")
        check_problem(await call(api, headers, method="POST"), 403)


@pytest.mark.parametrize(
    "told", [["https"], ["HTTPS"], ["https, http"], [" https "], ["http,https"], ["http", "https"]]
)
async def test_a_page_without_tls_is_not_ours_where_the_client_speaks_it(
    local: Api, told: list[str]
) -> None:
    """A proxy that says so is believed, for that can only refuse more; what else it says is not.

    So is any of several proxies, however they tell it.
    """
    told_so = [("X-Forwarded-Proto", value) for value in told]
    clear = Headers([*at(Origin="http://localhost").items(), *told_so])
    check_problem(await call(local, clear, method="POST"), 403)
    tls = Headers([*at(Origin="https://localhost").items(), *told_so])
    assert (await call(local, tls, method="POST")).status == 201
    inner = at(Origin="https://localhost", **{"X-Forwarded-Proto": "http"})
    assert (await call(local, inner, method="POST")).status == 201


async def test_our_own_tls_is_known(local: Api) -> None:
    """Without any proxy to tell it."""
    for origin, status in (("http://localhost", 403), ("https://localhost", 201)):
        answer = await local.client.post(
            "/jobs", headers=at(Origin=origin), data=b'{"type": "echo"}', scheme="https"
        )
        assert answer.status_code == status


@pytest.mark.parametrize("allowed", ["https://friend.example:443", "https://Friend.Example"])
async def test_an_allowed_site_may_be_written_as_people_write_it(
    make_api: MakeApi, allowed: str
) -> None:
    """With its scheme's own port, or in capitals; browsers send neither."""
    api = make_api(Access(origins=frozenset({allowed})))
    answer = await call(api, at(Origin=FRIEND), method="POST")
    assert answer.status == 201
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("Authorization", "Bearer word", "Bearer word"),
        ("Authorization", "Bearer word", "Bearer other"),
        ("Origin", "http://localhost", "https://evil.example"),
        ("Host", "localhost", "evil.example"),
        ("Content-Type", "application/json", "text/plain"),
        ("Last-Event-ID", "1", "2"),
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/", "/health"])
async def test_of_two_values_none_is_chosen(
    make_api: MakeApi, path: str, name: str, first: str, second: str
) -> None:
    """400: what stands in front of the service may have looked at the other one."""
    api = make_api(Access(tokens=taking("word")))
    others = at(Authorization="Bearer word")
    others.pop(name, None)
    for pair in ((first, second), (second, first)):
        headers = Headers([*others.items(), *((name, value) for value in pair)])
        with api.nothing_changes():
            answer = await api.ask(path, "GET", headers)
        assert name.lower() in check_problem(answer, 400, "malformed").lower()


async def test_two_tokens_over_a_connection_are_one_too_many(befriended: Api, serve: Serve) -> None:
    """Whatever reads the request there."""
    served = await serve(befriended.app)
    body = ("Content-Type: application/json", "Content-Length: 15")
    for names in (("Authorization", "authorization"), ("AUTHORIZATION", "Authorization")):
        async with served.connect() as wire:
            lines = [f"{name}: Bearer word" for name in names]
            await wire.send(request("/jobs", *lines, *body, method="POST") + b'{"type":"echo"}')
            check_problem(await wire.answer(), 400, "malformed")


async def test_pages_of_an_allowed_site_may_call_and_read(befriended: Api) -> None:
    """They may do all that their token lets them do."""
    headers = at(Origin=FRIEND, Authorization="Bearer word")
    for answer in (await call(befriended, headers), await call(befriended, headers, method="POST")):
        assert answer.status in (200, 201)
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_pages_of_an_allowed_site_can_read_why_they_were_refused(befriended: Api) -> None:
    """Errors carry the same headers, and the token is asked for all the same."""
    for path, authorization, status in (
        ("/jobs", "", 401),
        ("/nowhere", "Bearer word", 404),
        ("/jobs?limit=x", "Bearer word", 400),
    ):
        answer = await call(befriended, at(Origin=FRIEND, Authorization=authorization), path)
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND


async def test_a_browser_may_ask_first(befriended: Api, serve: Serve) -> None:
    """A preflight carries no token; it gets 204 with what may be sent."""
    asks = [
        f"Origin: {FRIEND}",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,content-type",
    ]
    served = await serve(befriended.app)
    async with served.connect() as wire:
        for path in ("/jobs", "/events", "/jobs/1/cancel"):
            answer = await wire.ask(path, *asks, method="OPTIONS")
            assert answer.status == 204
            assert answer.body == b""
            assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
            assert "POST" in answer.headers["Access-Control-Allow-Methods"]
            allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
            assert {"authorization", "content-type"} <= set(allowed)
    assert served.record.events == []


@pytest.mark.parametrize(
    "host",
    [".", "a..b", "a" * 64, "a/b", "a@b", "a, b", "a b", "b\xfccher", "[]", "[a", "a:b", "a:1:2"],
)
@pytest.mark.parametrize("path", ["/jobs", "/health"])
async def test_what_can_be_no_name_is_refused(api: Api, serve: Serve, path: str, host: str) -> None:
    """Such a Host header is a client's error and no failure of ours."""
    served = await serve(api.app)
    async with served.connect() as wire:
        await wire.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin1"))
        check_problem(await wire.answer(), 400)
    assert served.record.events == []


async def test_a_foreign_name_is_no_way_around_the_origin(make_api: MakeApi) -> None:
    """The page of a rebound name is its own origin; its name is refused before that counts."""
    api = make_api(access_of(Settings(allow_origin=(FRIEND,))))
    for origin in ("http://evil.example", FRIEND):
        for method in ("POST", "GET", "OPTIONS"):
            headers = at("evil.example", Origin=origin)
            check_problem(await call(api, headers, method=method), 421)


async def test_without_friends_there_is_no_cors_at_all(local: Api) -> None:
    """Not even on a preflight, an error or a health check."""
    for method in ("GET", "OPTIONS", "HEAD"):
        for path in ("/jobs", "/health", "/nowhere", "/metrics"):
            answer = await call(local, at(Origin=FRIEND), path, method)
            assert not cors(answer)


async def test_a_page_without_an_origin_of_its_own_is_no_friend(
    make_api: MakeApi, serve: Serve
) -> None:
    """`Origin: null` matches no Host, not even one that was left out."""
    served = await serve(make_api(Access(tokens=taking("word"))).app)
    for line in (b"", b"Host: \r\n"):
        async with served.connect() as wire:
            await wire.send(
                b"POST /jobs HTTP/1.0\r\nAuthorization: Bearer word\r\nOrigin: null\r\n"
                + line
                + b'Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{"type":"echo"}'
            )
            assert (await wire.answer()).status == 403
