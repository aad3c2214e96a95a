"""Headers and queries that nobody thought of, on every route: refused or ignored, never a 5xx."""

from urllib.parse import quote, quote_from_bytes

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from job_service.telemetry.events import RequestFailed
from job_service.web.guards import Access
from job_service.web.openapi.operations import OPERATIONS
from tests.conftest import Rig
from tests.web.api import Api, job_types, taking
from tests.web.conftest import MakeApi

NAMES = [
    *("Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization"),
    *("Cache-Control", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Date"),
    *("Expect", "Forwarded", "Host", "Idempotency-Key", "If-Match", "If-Modified-Since"),
    *("If-None-Match", "If-Range", "If-Unmodified-Since", "Last-Event-Id", "Origin", "Range"),
    *("Referer", "TE", "Transfer-Encoding", "User-Agent", "X-Forwarded-Proto", "X-Unknown"),
]
ODD_TEXTS = [
    *("", "*", '"', '"a"', 'W/"a"', ",", ";", "=", ":", "null", "\xff", "\x80" * 9, "9" * 5_000),
    *("Mon, 01 Jan 99999999999999 00:00:00 GMT", "Mon, 01 Jan 0000 00:00:00 +9999", "bytes=9-1"),
    *("bytes=0-9999999999999999999999", "a/b; c*=x'y'%ff", "a/b;" + "c*0=d;" * 99, "Bearer \xe9"),
    *(
        "Basic \xff",
        "Bearer ,",
        "localhost:99999",
        "[::1]:",
        "[",
        "https://[",
        "http://a:" + "9" * 9,
    ),
    *("application/json", "application/x-ndjson", "x=y; " * 99, "gzip;q=1e999", "-1", "nan"),
]
VALUES = st.sampled_from(ODD_TEXTS) | st.text(st.characters(min_codepoint=32, max_codepoint=255))
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4)

PARAMETERS = ["status", "type", "limit", "cursor", "order", "wait", "job_id", "event", "x", ""]
ODD_VALUES = [
    *("nan", "inf", "-inf", "1e400", "1e-400", "-0", "0x1", "1_0", " 1", "+1", "\u0661", "\u00b2"),
    *("1" + "0" * 30, "9" * 5_000, "\0", "\ud800", "\U0010ffff", "%", "a,b,", ",,,", "echo"),
    *("0_" * 16, "\u0661" * 32, "{" + "0" * 32 + "}", "urn:uuid:" + "0" * 32, "pending", "failed"),
]
RAW = st.binary(max_size=20).map(quote_from_bytes)
ODD = st.sampled_from(ODD_VALUES).map(lambda text: quote(text, errors="surrogatepass"))
QUERIES = st.lists(st.tuples(st.sampled_from(PARAMETERS), ODD | RAW), max_size=3).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
ODD_IDS = ["1", "%00", "%ff", "..", "%2e", "a%2fb", "batch", "cancel", "x" * 5_000]

in_reason = settings(max_examples=25)


EVERY_CALL = list(OPERATIONS)
SOME_CALLS = [("GET", "/"), ("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/events")]


async def check(
    api: Api, calls: list[tuple[str, str]], headers: Headers, query: str = "", job_id: str = "1"
) -> None:
    """Check that each of these calls is answered as it should be."""
    for method, path in calls:
        streams = path == "/events"
        where = path.format(
            job_id=job_id or "1", group_id=job_id or "1", schedule=job_id or "1", name="app.js"
        )
        answer = await api.ask(
            f"{where}?{query}" if query else where,
            "HEAD" if streams else method,
            headers,
            b'{"type": "echo"}',
        )
        not_ready = path == "/health/ready" and answer.status == 503
        assert answer.status < 500 or not_ready, (method, where, answer)
        assert not 300 <= answer.status < 400 or answer.status == 304
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert streams or answer.json["status"] == answer.status
    assert api.rig.record.of(RequestFailed) == []


def check_everywhere(
    headers: Headers, query: str = "", job_id: str = "1", access: Access | None = None
) -> None:
    """Check every call, on an API of its own, where no wait takes time."""

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await check(Api(Rig(nursery, job_types()), access), EVERY_CALL, headers, query, job_id)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("name", NAMES)
async def test_no_odd_value_of_a_header_makes_the_service_err(
    api: Api, make_api: MakeApi, name: str
) -> None:
    """Of each header that a server might look at, with a token and without one."""
    guarded = make_api(Access(tokens=taking("word"), origins=frozenset({"https://a.example"})))
    for text in ODD_TEXTS:
        for one in (api, guarded):
            await check(one, SOME_CALLS, Headers([(name, text)]))


@pytest.mark.slow
@in_reason
@given(headers=HEADERS, guarded=st.booleans())
def test_no_header_makes_the_service_err(headers: list[tuple[str, str]], guarded: bool) -> None:
    """Of any name and value, alone and repeated, with a token and without one."""
    access = Access(tokens=taking("word"), origins=frozenset({"https://a.example"}))
    check_everywhere(Headers(headers), access=access if guarded else None)


@pytest.mark.slow
@in_reason
@given(query=QUERIES, job_id=st.sampled_from(ODD_IDS) | RAW)
def test_no_query_and_no_id_makes_the_service_err(query: str, job_id: str) -> None:
    """Any names and values, digits of other scripts, numbers beyond all bounds, half characters."""
    check_everywhere(Headers(), query, job_id)
