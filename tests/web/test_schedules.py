"""`/schedules`: what runs by itself and when, and how it is run, paused and resumed."""

import trio

from job_service.jobs.registration.registry import Registry
from job_service.telemetry.events import JobCreated, SchedulePaused, ScheduleResumed
from job_service.web.guards import Access
from tests.web.api import Api, check_problem, taking
from tests.web.conftest import MakeApi

WORDS = SchedulePaused | ScheduleResumed


async def test_schedules_tell_when_they_run_and_what_came_of_it(
    autojump_clock: trio.abc.Clock, make_api: MakeApi, registry: Registry
) -> None:
    """Before the start, and after the first tick."""

    @registry.cron("0 3 * * *", tz="Europe/Berlin")
    async def nightly() -> None: ...

    @registry.every(30)
    async def refresh() -> None: ...

    api = make_api()
    untouched = {"skipped": 0, "paused": False}
    cron = {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}
    assert (await api.ask("/schedules")).json == [
        {"schedule": "nightly", "type": "nightly", **cron, **untouched},
        {"schedule": "refresh", "type": "refresh", "every_seconds": 30, **untouched},
    ]
    await api.rig.start()
    await trio.sleep(31)
    nightly_view, refresh_view = (await api.ask("/schedules")).json
    assert nightly_view["next_run_at"] == nightly_view["next_ticks"][0]
    assert len(set(nightly_view["next_ticks"])) == 5
    assert nightly_view["next_ticks"] == sorted(nightly_view["next_ticks"])
    (job_id,) = await api.listed()
    assert refresh_view["last_job_id"] == job_id
    job = await api.read_job(job_id)
    assert job["schedule"] == "refresh"
    assert refresh_view["last_run_at"] == job["created_at"]
    assert (await api.ask("/schedules")).headers["Cache-Control"] == "no-store"
    api.rig.engine.stop("requested")


async def test_a_schedule_is_run_now(make_api: MakeApi, registry: Registry) -> None:
    """The answer is a receipt, as that of a submission is; a repeated request makes no second job.

    Its name may have a slash in it.
    """

    @registry.cron("@yearly", name="mail/yearly report")
    async def yearly() -> None: ...

    api = make_api()
    path = "/schedules/mail/yearly%20report/run-now"
    made = await api.ask(path, "POST", {"Idempotency-Key": "k"})
    assert (made.status, made.json["schedule"]) == (201, "mail/yearly report")
    assert made.headers["Location"] == f"/jobs/{made.json['id']}"
    again = await api.ask(path, "POST", {"Idempotency-Key": "k"})
    assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert await api.listed() == [made.json["id"]]
    (view,) = (await api.ask("/schedules")).json
    assert (view["last_job_id"], view["last_run_at"]) == (made.json["id"], made.json["created_at"])


async def test_a_schedule_is_paused_and_resumed(make_api: MakeApi, registry: Registry) -> None:
    """The answer is the schedule, with when and by whom; each is one event, however often asked."""

    @registry.every(30)
    async def refresh() -> None: ...

    tokens = taking("alice operate in-charge", "bob operate stands-in")
    api = make_api(Access(tokens=tokens))

    async def say(what: str, secret: str) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {secret}"}
        answer = await api.ask(f"/schedules/refresh/{what}", "POST", headers)
        assert answer.status == 200
        told: dict[str, object] = answer.json
        return told

    paused = await say("pause", "in-charge")
    assert (paused["paused"], paused["paused_by"]) == (True, "alice")
    assert await say("pause", "stands-in") == paused
    resumed = await say("resume", "stands-in")
    assert {"paused_since", "paused_by"}.isdisjoint(resumed)
    assert not resumed["paused"]
    said = [(e.event, e.by) for e in api.rig.record.events if isinstance(e, WORDS)]
    assert said == [("schedule_paused", "alice"), ("schedule_resumed", "bob")]
    await api.ask("/schedules/refresh/run-now", "POST", {"Authorization": "Bearer in-charge"})
    assert [event.by for event in api.rig.record.of(JobCreated)] == ["alice"]


async def test_an_unknown_schedule_is_told_so(api: Api) -> None:
    """A job type without a schedule is none."""
    for what in ("run-now", "pause", "resume"):
        for name in ("echo", "nightly"):
            answer = await api.ask(f"/schedules/{name}/{what}", "POST")
            detail = check_problem(answer, 404, "unknown-schedule")
            assert detail == f"there is no schedule '{name}'; known are none"
