"""If a token is set, only clients that know it come in, and nobody can read it anywhere."""

import base64

import pytest
import trio

from job_service.web.guards import Access
from tests.web.api import JSON, Answer, Api, check_problem, taking
from tests.web.conftest import MakeApi, Serve

WORD = "s3cret-t0ken"
RIGHT = f"Bearer {WORD}"
WRONG = {
    "another token": "Bearer an0ther",
    "the start of the token": RIGHT[:-1],
    "more than the token": RIGHT + "x",
    "an empty token": "Bearer ",
    "no token": "Bearer",
    "nothing": "",
    "no scheme": WORD,
    "another scheme": "Basic " + base64.b64encode(WORD.encode()).decode(),
    "another scheme with the token": f"Token {WORD}",
    "quotes": f'Bearer "{WORD}"',
    "letters beyond ASCII": f"Bearer {WORD}é",
    "beyond Latin-1": f"Bearer {WORD}\N{SNOWMAN}",
}
GUARDED = [
    *("/jobs", "/jobs/01890000-0000-7000-8000-000000000000", "/metrics", "/nowhere"),
    *("/health/", "/health/ready/", "/health/more", "/Health", "//metrics"),
]


@pytest.fixture
def guarded(make_api: MakeApi) -> Api:
    """The API with a token."""
    return make_api(Access(tokens=taking(WORD)))


async def ask(api: Api, path: str, authorization: str | None, method: str = "GET") -> Answer:
    """A request with or without an Authorization header."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return await api.ask(path, method, headers | JSON, b'{"type": "echo"}')


def check_turned_away(answer: Answer) -> None:
    """Check that the client is told that it needs a token, and of which kind."""
    check_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("authorization", [None, *WRONG.values()], ids=["no header", *WRONG])
async def test_without_the_token_nobody_comes_in(guarded: Api, authorization: str | None) -> None:
    """Whatever is not the token gets 401 with WWW-Authenticate, and changes nothing."""
    with guarded.nothing_changes():
        check_turned_away(await ask(guarded, "/jobs", authorization, "POST"))
        check_turned_away(await ask(guarded, "/jobs", authorization))


@pytest.mark.parametrize("path", GUARDED)
async def test_no_path_tells_strangers_whether_it_exists(guarded: Api, path: str) -> None:
    """Without the token every path but the health checks gets 401, even one that is not there."""
    check_turned_away(await ask(guarded, path, None))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "BREW"])
async def test_no_method_gets_around_the_token(guarded: Api, method: str) -> None:
    """The token is asked for before the method is looked at."""
    assert (await ask(guarded, "/jobs", None, method)).status == 401


async def test_with_the_token_everything_is_as_without_one(guarded: Api) -> None:
    """Who sends the token gets what the routes answer, down to their 404 and 405."""
    answer = await ask(guarded, "/jobs", RIGHT, "POST")
    assert answer.status == 201
    assert (await ask(guarded, answer.headers["Location"], RIGHT)).status == 200
    assert len((await ask(guarded, "/jobs", RIGHT)).json) == 1
    assert (await ask(guarded, "/metrics", RIGHT)).json["jobs_created"] == 1
    check_problem(await ask(guarded, "/nowhere", RIGHT), 404)
    check_problem(await ask(guarded, "/jobs", RIGHT, "DELETE"), 405)


async def test_the_scheme_may_be_written_in_any_case(guarded: Api) -> None:
    """RFC 9110, section 11.1: the name of a scheme is case-insensitive; the token is not."""
    assert (await ask(guarded, "/jobs", f"bearer {WORD}")).status == 200
    check_turned_away(await ask(guarded, "/jobs", f"Bearer {WORD.upper()}"))


async def test_a_token_with_letters_beyond_ascii_lets_its_clients_in(make_api: MakeApi) -> None:
    """Whoever sends such a token as UTF-8, as curl does, is not locked out."""
    word = "schlüssel"
    api = make_api(Access(tokens=taking(word)))
    assert (await ask(api, "/jobs", f"Bearer {word}")).status == 200
    check_turned_away(await ask(api, "/jobs", "Bearer schlussel"))


async def test_bytes_that_are_no_utf_8_are_no_token(guarded: Api, serve: Serve) -> None:
    """A header may hold any bytes; they are turned away like any other wrong token."""
    served = await serve(guarded.app)
    async with served.connect() as wire:
        for given in (b"\xe9", b"\xff" * 100, WORD.encode() + b"\xe9"):
            line = f"Authorization: Bearer {given.decode('latin1')}"
            check_turned_away(await wire.ask("/jobs", line))
        assert (await wire.ask("/jobs", f"Authorization: {RIGHT}")).status == 200


@pytest.mark.parametrize("authorization", [None, "Bearer an0ther", RIGHT])
async def test_the_health_checks_are_open(guarded: Api, authorization: str | None) -> None:
    """A load balancer needs no token to see whether the service lives and is ready."""
    assert (await ask(guarded, "/health", authorization)).status == 200
    check_problem(await ask(guarded, "/health/ready", authorization), 503, "not-ready")
    await guarded.rig.start()
    assert (await ask(guarded, "/health/ready", authorization)).status == 200


@pytest.mark.slow
async def test_the_token_is_told_nowhere(guarded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer, event or log line has the token in it, not even those of a bug of ours."""

    async def fall_over(*_: object, **__: object) -> None:
        raise RuntimeError("the queue fell over")

    await guarded.rig.start()
    monkeypatch.setattr(guarded.rig.queue, "page", fall_over)
    answers = [
        await ask(guarded, path, authorization, method)
        for path in (*GUARDED, "/health", "/health/ready", "/jobs?limit=ten")
        for authorization in (None, RIGHT, *WRONG.values())
        for method in ("GET", "POST")
    ]
    await trio.testing.wait_all_tasks_blocked()
    assert {200, 201, 400, 401, 404, 405, 500} <= {answer.status for answer in answers}
    assert "request_failed" in guarded.rig.record.names()
    told = f"{answers} {guarded.rig.record.events} {guarded.rig.lines}"
    assert "the queue fell over" in told
    assert WORD not in told
