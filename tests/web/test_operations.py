"""What the person on call sees: metrics, health, and bugs of ours in the log."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio

from job_service.telemetry.events import RequestFailed
from job_service.web.guards import Access
from tests.conftest import Rig
from tests.web.api import JSON, Answer, Api, check_problem, taking

METRICS = [
    *("jobs_created", "jobs_completed", "jobs_failed", "jobs_retried", "jobs_in_progress"),
    *("jobs_pending", "jobs_cancelled", "jobs_abandoned", "jobs_rejected", "workers_running"),
    *("queue_capacity", "wait_seconds_total", "run_seconds_total", "loop_stalls"),
    *("log_lines_dropped", "uptime_seconds", "connections_refused", "jobs_ready"),
    *("jobs_snoozed", "jobs_deduplicated", "queue_paused", "job_types_paused", "ticks_skipped"),
    *("jobs_bytes", "threads_abandoned", "jobs_claimed", "jobs_released", "store_commits"),
    *("store_errors", "store_seconds_total", "jobs_started", "jobs_oldest_ready_seconds"),
]
EVERY_READ = [
    *("/jobs", "/jobs?status=failed&limit=1", "/jobs?limit=ten", "/jobs/nobody", "/nowhere"),
    *("/metrics", "/health", "/health/ready"),
]


async def test_metrics_are_flat_json_in_their_order(api: Api) -> None:
    """GET /metrics has exactly the documented keys in their order, each a plain number."""
    answer = await api.ask("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json) == METRICS
    assert all(type(value) in (int, float) for value in answer.json.values())


async def test_metrics_agree_with_what_was_done(
    autojump_clock: trio.abc.Clock, running_api: Api
) -> None:
    """Each job is counted under what became of it, and the seconds are those it took."""
    await running_api.submit("echo")
    await running_api.submit("echo")
    await running_api.submit("flaky", 1)
    await running_api.submit("flaky", 9, max_retries=2)
    await trio.sleep(1000)
    cancelled = await running_api.submit("endless")
    await running_api.submit("endless")
    await running_api.submit("echo")
    await trio.sleep(5)
    await running_api.rig.queue.cancel(cancelled)
    await trio.sleep(5)
    await running_api.submit("endless")
    await trio.sleep(5)
    await running_api.submit("echo")  # both workers are busy
    await running_api.post(b"no job")

    metrics = (await running_api.ask("/metrics")).json
    assert metrics["uptime_seconds"] > 0
    del metrics["uptime_seconds"]
    assert metrics.pop("jobs_bytes") == running_api.rig.engine.jobs_bytes > 0
    assert metrics == {
        "jobs_created": 9,
        "jobs_completed": 4,
        "jobs_failed": 1,
        "jobs_retried": 3,
        "jobs_in_progress": 2,
        "jobs_pending": 1,
        "jobs_cancelled": 1,
        "jobs_abandoned": 0,
        "jobs_rejected": 0,
        "workers_running": 2,
        "queue_capacity": 100,
        "wait_seconds_total": 5.0,  # the third echo, for the cancelled job's worker
        "run_seconds_total": 5.0,  # that job
        "loop_stalls": 0,
        "log_lines_dropped": 0,
        "connections_refused": 0,
        "jobs_ready": 1,
        "jobs_snoozed": 0,
        "jobs_deduplicated": 0,
        "queue_paused": 0,
        "job_types_paused": 0,
        "ticks_skipped": 0,
        "threads_abandoned": 0,
        "jobs_claimed": 0,
        "jobs_released": 0,
        "store_commits": 0,
        "store_errors": 0,
        "store_seconds_total": 0.0,
        "jobs_started": 11,
        "jobs_oldest_ready_seconds": 0.0,  # the last echo came just now
    }


@pytest.mark.parametrize("path", EVERY_READ)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_reading_changes_nothing(api: Api, path: str, method: str) -> None:
    """Whatever is read, and however often, no counter moves and no event is told."""
    await api.submit("echo")
    with api.nothing_changes():
        for _ in range(3):
            await api.ask(path, method)


async def test_health_is_ok_while_the_loop_turns(api: Api) -> None:
    """GET /health answers ok before the engine runs, while it does, and while it drains."""
    for change in (lambda: None, None, lambda: api.rig.engine.drain(1)):
        if change is None:
            await api.rig.start()
        else:
            change()
        answer = await api.ask("/health")
        assert (answer.status, answer.json) == (200, {"status": "ok"})
        assert answer.headers["Content-Type"] == "application/json"


async def test_ready_means_that_jobs_are_taken_and_run(api: Api) -> None:
    """GET /health/ready is 503 before the engine runs, 200 then, and 503 from the drain on."""
    answer = await api.ask("/health/ready")
    check_problem(answer, 503, "not-ready")
    assert int(answer.headers["Retry-After"]) > 0

    await api.rig.start()
    answer = await api.ask("/health/ready")
    assert (answer.status, answer.json) == (200, {"status": "ok"})

    api.rig.engine.drain(grace_seconds=1)
    check_problem(await api.ask("/health/ready"), 503, "not-ready")


async def test_a_service_whose_store_fails_is_not_ready(make_rig: Callable[..., Rig]) -> None:
    """Load balancers look elsewhere until it has recovered, and are not told what is wrong."""
    trouble: str | None = None
    api = Api(make_rig(), store_trouble=lambda: trouble)
    await api.rig.start()
    assert (await api.ask("/health/ready")).status == 200

    trouble = "OSError: [Errno 28] No space left on device: '/srv/jobs.db'"
    answer = await api.ask("/health/ready")
    assert "space" not in check_problem(answer, 503, "store-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert (await api.ask("/health")).status == 200

    trouble = None
    assert (await api.ask("/health/ready")).status == 200


async def test_a_service_that_starts_nothing_is_not_ready(make_rig: Callable[..., Rig]) -> None:
    """It says why, if jobs wait that it could run."""
    why: str | None = None
    api = Api(make_rig(), why_idle=lambda: why)
    await api.rig.start()
    assert (await api.ask("/health/ready")).status == 200

    why = "it has not looked for jobs for 40 seconds"
    assert check_problem(await api.ask("/health/ready"), 503, "not-ready") == why


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/ready"])
async def test_what_is_true_only_now_is_not_cached(running_api: Api, path: str) -> None:
    """No proxy may answer for the service with what was true a moment ago."""
    assert (await running_api.ask(path)).headers["Cache-Control"] == "no-store"


def an_error() -> Exception:
    """As most bugs are."""
    return RuntimeError("secret 1234")


def a_group() -> Exception:
    """As from a nursery."""
    return ExceptionGroup("secret 1234", [KeyError("inner"), ValueError("other")])


def an_unprintable_error() -> Exception:
    """With text that can't be written as UTF-8."""
    return OSError("secret 1234 \udcff")


@pytest.fixture
def break_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Puts a bug behind every route that lists or submits jobs."""

    def put(error: Exception) -> None:
        async def fall_over(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(api.rig.queue, "page", fall_over)
        monkeypatch.setattr(api.rig.queue, "submit", fall_over)

    return put


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("make_error", [an_error, a_group, an_unprintable_error])
async def test_a_bug_is_told_to_us_and_not_to_the_client(
    api: Api,
    break_it: Callable[[Exception], None],
    make_error: Callable[[], Exception],
    method: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The client gets a 500 problem without a word of the cause; our log has one whole line."""
    break_it(make_error())
    caplog.set_level(logging.DEBUG)
    query = "?limit=7" if method == "GET" else ""
    answer = await api.ask(f"/jobs{query}", method, JSON, b'{"type": "echo"}')

    check_problem(answer, 500)
    assert b"secret" not in answer.body
    assert b"Error" not in answer.body.replace(b"Internal Server Error", b"")
    assert b"Traceback" not in answer.body
    (event,) = api.rig.record.of(RequestFailed)
    assert api.rig.record.events == [event]
    assert (event.method, event.path) == (method, "/jobs")
    assert event.error.startswith(type(make_error()).__name__)
    assert "secret 1234" in event.traceback
    assert "in fall_over" in event.traceback
    (line,) = api.rig.lines
    assert list(line) == ["timestamp", "level", "event", "method", "path", "error", "traceback"]
    assert (line["level"], line["event"]) == ("error", "request_failed")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "QUERY"])
@pytest.mark.parametrize("path", ["/jobs", "/nowhere", "/dashboard/app.js"])
@pytest.mark.parametrize("hook", ["before_request", "after_request"])
async def test_a_bug_before_or_after_the_route_is_told_alike(
    api: Api, hook: str, path: str, method: str
) -> None:
    """Whoever looks at all requests may fall over, too: a problem, never a page, and our line."""

    async def fall_over(*_: object) -> None:
        raise RuntimeError("secret 1234")

    getattr(api.app, hook)(fall_over)
    answer = await api.ask(path, method, JSON, b'{"type": "echo"}')
    if method == "HEAD":
        assert (answer.status, answer.body) == (500, b"")
        assert answer.headers["Content-Type"] == "application/problem+json"
    else:
        check_problem(answer, 500)
    assert b"secret" not in answer.body
    (event,) = api.rig.record.of(RequestFailed)
    assert (event.method, event.path) == (method, path)
    assert "in fall_over" in event.traceback


async def test_want_of_memory_is_no_bug(api: Api, break_it: Callable[[Exception], None]) -> None:
    """Nobody can know how far the call has come, so that it is a 500, too; its words are others."""
    break_it(MemoryError())
    for answer in (
        await api.ask("/jobs"),
        await api.ask("/jobs", "POST", JSON, b'{"type":"echo"}'),
    ):
        check_problem(answer, 500)
        assert answer.json["detail"] == "the service is out of memory; its log says more"
    assert api.rig.record.of(RequestFailed)[0].error == "MemoryError"


async def test_a_bug_that_is_hit_again_and_again_does_not_flood_the_log(
    api: Api, break_it: Callable[[Exception], None], autojump_clock: trio.testing.MockClock
) -> None:
    """One line a second; the clients are all told."""
    break_it(an_error())
    for second in range(1, 4):
        for _ in range(20):
            check_problem(await api.ask("/jobs"), 500)
        assert len(api.rig.record.of(RequestFailed)) == second
        await trio.sleep(1)


async def test_the_line_of_a_bug_is_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the path is that hit it."""
    monkeypatch.setattr(api.rig.queue, "get", None)
    check_problem(await api.ask(f"/jobs/{'x' * 10_000}"), 500)
    (event,) = api.rig.record.of(RequestFailed)
    assert len(event.path) == 1_000


async def test_the_service_survives_its_bugs(
    api: Api, break_it: Callable[[Exception], None]
) -> None:
    """After a 500 every other route answers as before."""
    job_id = await api.submit("echo")
    break_it(an_error())
    assert (await api.ask("/jobs")).status == 500
    assert (await api.read_job(job_id))["status"] == "pending"
    assert (await api.ask("/metrics")).json["jobs_pending"] == 1


async def test_two_services_share_nothing(make_api: Callable[..., Api]) -> None:
    """Two services in one process have jobs, metrics, readiness, bugs and tokens of their own."""
    word = "for-the-other"
    one, other = make_api(), make_api(Access(tokens=taking(word)))
    job_id = await one.submit("echo")
    await one.rig.start()
    with other.nothing_changes():
        await one.submit("echo")
        await trio.testing.wait_all_tasks_blocked()

    async def ask_other(path: str) -> Answer:
        return await other.ask(path, headers={"Authorization": f"Bearer {word}"})

    assert (await ask_other("/jobs")).json == []
    check_problem(await ask_other(f"/jobs/{job_id}"), 404, "unknown-job")
    assert (await ask_other("/metrics")).json["jobs_created"] == 0
    assert (await one.ask("/health/ready")).status == 200
    assert (await ask_other("/health/ready")).status == 503
