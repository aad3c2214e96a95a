"""What a client is told while the store can keep nothing: that it is to come again, and when."""

import uuid
from typing import Any

import pytest

from job_service.errors import StoreUnavailable
from job_service.jobs.registration.registry import Registry
from job_service.stores.memory import MemoryStore
from job_service.web.error_refusals import STORE_UNAVAILABLE
from job_service.web.openapi.operations import OPERATIONS
from tests.web.api import JSON, Answer, Api, check_problem
from tests.web.conftest import MakeApi

CALLS_OF_THE_STORE = {name for name in OPERATIONS if name[1] != "/health/ready"}
BODIES = {
    "/jobs": (JSON, b'{"type": "echo"}'),
    "/jobs/{job_id}": (JSON, b'{"priority": 1}'),
    "/groups": (JSON, b'{"jobs": [{"type": "echo"}]}'),
    "/jobs/batch": ({"Content-Type": "application/x-ndjson"}, b'{"type": "echo"}'),
}
QUERIES = {
    **{("POST", f"/jobs/{what}"): "?type=echo" for what in ("cancel", "run-now", "retry")},
    ("POST", "/store/backup"): "?to=/copy.db",
}


class FailingStore(MemoryStore):
    """A store whose disk is full."""

    async def _fail(self, *_: object, **__: object) -> Any:
        raise StoreUnavailable("the store can't keep anything now: the disk is full", 2.5)

    submit = run_again = cancel = cancel_all = edit = run_now_all = pause = resume = _fail
    get = wait = page = view = counts = view_and_counts = nodes = back_up = _fail
    submit_group = group = wait_for_group = cancel_group = retry_group = _fail
    pause_schedule = resume_schedule = _fail


@pytest.fixture
def failing(make_api: MakeApi, registry: Registry) -> Api:
    """The API on such a store, with a schedule."""

    @registry.cron("@yearly")
    async def yearly() -> None:
        pass

    return make_api(store=FailingStore)


async def ask(api: Api, method: str, path: str) -> Answer:
    """A call that is as it should be."""
    headers, body = BODIES[path] if method in ("POST", "PATCH") and path in BODIES else ({}, None)
    query = QUERIES.get((method, path), "")
    return await api.ask(
        path.format(job_id=uuid.uuid4(), group_id=uuid.uuid4(), schedule="yearly") + query,
        method,
        headers,
        body,
    )


async def test_submissions_and_reads_are_told_to_come_again(failing: Api) -> None:
    """With what is wrong, and with whole seconds that are no fewer than it takes."""
    for method, path in (("POST", "/jobs"), ("GET", "/jobs")):
        answer = await ask(failing, method, path)
        detail = check_problem(answer, 503, "store-unavailable")
        assert detail == "the store can't keep anything now: the disk is full"
        assert answer.headers["Retry-After"] == "3"


@pytest.mark.slow
async def test_the_description_says_which_calls_need_the_store(failing: Api) -> None:
    """Those, and no others."""
    need_it = {
        (method, path)
        for method, path in CALLS_OF_THE_STORE
        if path not in ("/events", "/dashboard/{name}")
        and b"store-unavailable" in (await ask(failing, method, path)).body[:100]
    }
    said = {name for name in CALLS_OF_THE_STORE if STORE_UNAVAILABLE in OPERATIONS[name].refusals}
    assert said == need_it
    assert ("POST", "/jobs/batch") in need_it
    assert ("GET", "/metrics") not in need_it
