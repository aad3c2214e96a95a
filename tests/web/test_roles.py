"""What a token may do is its role: to read, to submit as well, or to operate."""

from typing import get_args

import pytest

from job_service.access.tokens import ROLES, Role, Token
from job_service.web import guards
from job_service.web.guards import Access
from job_service.web.roles import NEEDED
from tests.web.api import JSON, Answer, Api, check_problem, taking
from tests.web.conftest import MakeApi

JOB = "/jobs/01890000-0000-7000-8000-000000000000"
GROUP = "/groups/01890000-0000-7000-8000-000000000000"
# Each call that more than the role `read` is needed for.
CALLS: dict[str, tuple[str, Role]] = {
    "submit_job": ("/jobs", "submit"),
    "submit_batch": ("/jobs/batch", "submit"),
    "submit_group": ("/groups", "submit"),
    "cancel_group": (f"{GROUP}/cancel", "operate"),
    "retry_group": (f"{GROUP}/retry", "operate"),
    "run_job_now": (f"{JOB}/run-now", "operate"),
    "cancel_jobs": ("/jobs/cancel?type=echo", "operate"),
    "run_jobs_now": ("/jobs/run-now?type=echo", "operate"),
    "retry_jobs": ("/jobs/retry?type=echo", "operate"),
    "edit_job": (JOB, "operate"),
    "cancel_job": (f"{JOB}/cancel", "operate"),
    "retry_job": (f"{JOB}/retry", "operate"),
    "pause_queue": ("/queue/pause", "operate"),
    "resume_queue": ("/queue/resume", "operate"),
    "run_schedule_now": ("/schedules/nightly/run-now", "operate"),
    "pause_schedule": ("/schedules/nightly/pause", "operate"),
    "resume_schedule": ("/schedules/nightly/resume", "operate"),
    "back_up_store": ("/store/backup?to=/nowhere/copy", "operate"),
}


SAFE = {"GET", "HEAD", "OPTIONS"}


@pytest.fixture
def guarded(make_api: MakeApi) -> Api:
    """The API with a token of each role, and one without a name."""
    texts = [f"the-{role} {role} to-{role}" for role in ROLES]
    return make_api(Access(tokens=taking(*texts, "master")))


async def ask(api: Api, path: str, secret: str, method: str = "GET") -> Answer:
    """A call with this token, and a job to submit."""
    headers = {**JSON, "Authorization": f"Bearer {secret}"}
    return await api.ask(path, method, headers, b'{"type": "echo"}')


async def test_each_route_has_its_role(api: Api) -> None:
    """A new call can't come in without somebody having said who may make it."""
    calls = {rule.endpoint for rule in api.app.url_map.iter_rules()}
    assert calls == set(NEEDED)


async def test_nothing_that_changes_something_is_for_readers(api: Api) -> None:
    """Each call that may change something needs more than the role `read`, and is tried below."""
    changing = {r.endpoint for r in api.app.url_map.iter_rules() if (r.methods or set()) - SAFE}
    assert changing == set(CALLS)
    assert {call: NEEDED[call] for call in CALLS} == {c: role for c, (_, role) in CALLS.items()}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_that_is_too_low_is_told_so(guarded: Api, call: str, role: Role) -> None:
    """A 403 says which role is needed, and which the token has; nothing has happened."""
    path, needed = CALLS[call]
    method = "PATCH" if call == "edit_job" else "POST"
    if ROLES.index(role) >= ROLES.index(needed):
        assert (await ask(guarded, path, f"to-{role}", method)).status != 403
        return
    with guarded.nothing_changes():
        answer = await ask(guarded, path, f"to-{role}", method)
    detail = check_problem(answer, 403, "role-too-low")
    assert detail == f"this call needs the role {needed}, and your token has the role {role}"
    assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]


async def test_a_call_that_asks_for_no_token_does_nothing_that_needs_one(
    guarded: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if its path is taken for an open one by mistake."""
    monkeypatch.setattr(guards, "needs_token", lambda _path: False)
    for call, (path, _) in CALLS.items():
        with guarded.nothing_changes():
            method = "PATCH" if call == "edit_job" else "POST"
            answer = await ask(guarded, path, "to-operate", method)
        assert answer.status == 401, call
    assert (await guarded.ask("/health")).status == 200


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_read(guarded: Api, role: Role) -> None:
    """All that is asked with GET, and HEAD, is open to each token."""
    for path in (
        "/jobs",
        "/queue",
        "/metrics",
        "/workers",
        "/types",
        "/schedules",
        "/openapi.json",
    ):
        for method in ("GET", "HEAD"):
            assert (await ask(guarded, path, f"to-{role}", method)).status == 200


async def test_a_reader_learns_no_more_than_that(guarded: Api) -> None:
    """A path that is not there is a 404 for each token, and a wrong method a 405."""
    check_problem(await ask(guarded, "/nowhere", "to-read"), 404)
    check_problem(await ask(guarded, "/jobs", "to-read", "DELETE"), 405)
    assert (await ask(guarded, "/jobs", "to-read", "OPTIONS")).status == 200


async def test_a_client_can_ask_what_its_token_may_do(guarded: Api, api: Api) -> None:
    """By its name, if it has one. Without tokens, everybody may do all."""
    for role in ROLES:
        told = (await ask(guarded, "/whoami", f"to-{role}")).json
        assert told == {"role": role, "name": f"the-{role}"}
    assert (await ask(guarded, "/whoami", "master")).json == {"role": "operate"}
    check_problem(await ask(guarded, "/whoami", "stranger"), 401)
    assert (await api.ask("/whoami")).json == {"role": "operate"}


def test_each_role_may_do_what_those_before_it_may() -> None:
    """`operate` includes `submit`, and that includes `read`."""
    assert get_args(Role) == ROLES == ("read", "submit", "operate")
    allowed = {role: [other for other in ROLES if Token("t", role).allows(other)] for role in ROLES}
    assert allowed == {
        "read": ["read"],
        "submit": ["read", "submit"],
        "operate": ["read", "submit", "operate"],
    }
