"""The client in Python, in its three ways to be called, against a service that is served."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from job_service import (
    AlreadyFinished,
    GroupConflict,
    InvalidOption,
    InvalidPayload,
    NotPending,
    QueueFull,
    SettingsError,
    Unauthorized,
    UnexpectedAnswer,
    UnknownGroup,
    UnknownJob,
    UnknownJobType,
    UnknownSchedule,
    Unreachable,
    WaitsForJobs,
)
from job_service.client import AsyncJobClient, JobClient
from job_service.stores import memory
from tests.certificates import Certificate
from tests.client.conftest import Call, Serve


async def test_a_job_is_submitted_waited_for_and_read(serve: Serve, call: Call) -> None:
    """Its answers are those of the queue of a program that hosts the service."""
    async with serve() as running:
        job = await call(running.url, "submit", "double", 4, priority=2, unique_key="k")
        assert (job.type, job.status, job.priority) == ("double", "pending", 2)
        detail = await call(running.url, "wait", job.id, 30)
        assert detail == await running.queue.get(job.id)
        assert msgspec.json.decode(detail.result) == 8
        assert await call(running.url, "get", job.id) == detail
        quick = await call(running.url, "submit_and_wait", "double", 5)
        assert (quick.status, msgspec.json.decode(quick.result)) == ("completed", 10)
        failed = await call(running.url, "submit_and_wait", "fail", seconds=30)
        assert (failed.status, failed.error) == ("failed", "ValueError: no luck")


async def test_a_submission_is_made_once_for_each_key(serve: Serve, call: Call) -> None:
    """Whoever chooses a key may repeat the call; without one, each call is a job of its own."""
    async with serve() as running:
        first = await call(running.url, "submit", "double", 1, idempotency_key="k")
        second = await call(running.url, "submit", "double", 1, idempotency_key="k")
        assert (second.id, second.replayed) == (first.id, True)
        other = await call(running.url, "submit", "double", 1)
        assert other.id != first.id


async def test_any_number_of_jobs_is_submitted_in_one_call(serve: Serve, call: Call) -> None:
    """More than the queue holds: those that do not fit now wait until there is room."""
    async with serve(queue_capacity=150) as running:
        jobs = [{"type": "double", "payload": number} for number in range(601)]
        told: list[int] = []
        ids = await call(
            running.url, "submit_all", jobs, idempotency_key="k", on_progress=told.append
        )
        assert told == [250, 500, 601]
        assert len(set(ids)) == 601
        assert await call(running.url, "submit_all", jobs, idempotency_key="k") == ids
        last = await call(running.url, "wait", ids[-1])
        assert msgspec.json.decode(last.result) == 1200
        assert running.metrics().jobs_created == 601


async def test_jobs_are_cancelled_run_again_and_listed(serve: Serve, call: Call) -> None:
    """As the queue does it, with its exceptions."""
    async with serve(grace=0) as running:
        job = await call(running.url, "submit", "sleep", 600, delay_seconds=600)
        cancelled = await call(running.url, "cancel", job.id)
        assert cancelled.status == "cancelled"
        with pytest.raises(AlreadyFinished) as raised:
            await call(running.url, "cancel", job.id)
        assert raised.value.job.id == job.id
        again = await call(running.url, "retry", job.id)
        assert again.retry_of == job.id
        await running.queue.cancel(again.id)
        listed = await call(running.url, "list", status="cancelled", newest_first=True, limit=1)
        assert [job.id for job in listed] == [again.id]
        rest = await call(running.url, "list", after=again.id, newest_first=True)
        assert [other.id for other in rest] == [job.id]
        await call(running.url, "submit", "sleep", 600, delay_seconds=600)
        assert (await call(running.url, "cancel_all", "sleep", status="pending")).cancelled == 1


async def test_jobs_are_found_by_what_is_known_of_them(
    serve: Serve, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages of the service it takes to find as many as were asked for."""
    async with serve() as running:
        jobs = [
            (await call(running.url, "submit", "double", number, tags=["a&b"] * (number % 2))).id
            for number in range(6)
        ]
        failed = (await call(running.url, "submit_and_wait", "fail")).id
        monkeypatch.setattr(memory, "LOOKS", 2)
        for filters, expected in (
            ({"tag": "a&b"}, jobs[1::2]),
            ({"tag": "a&b", "limit": 2}, jobs[1:4:2]),
            ({"status": ["completed", "failed"], "job_type": ["fail", "double"]}, [*jobs, failed]),
            ({"job_type": "fail", "status": "failed", "error": "no"}, [failed]),
            ({"id_part": jobs[4][9:]}, [jobs[4]]),
            ({"unique_key": "k"}, []),
            ({"created_after": datetime.now(UTC) + timedelta(days=1)}, []),
            ({"created_before": datetime.now(UTC) + timedelta(days=1), "tag": "a&b"}, jobs[1::2]),
        ):
            found = await call(running.url, "list", **filters)
            assert [job.id for job in found] == expected, filters
        page = await call(running.url, "page", tag="a&b", newest_first=True)
        assert ([job.id for job in page.jobs], page.next) == ([jobs[5]], jobs[5]), (
            "two were looked at"
        )
        page = await call(running.url, "page", tag="a&b", after=jobs[2], limit=9)
        assert ([job.id for job in page.jobs], page.next) == ([jobs[3]], jobs[4])
        for bad in ({"created_after": datetime.now()}, {"tag": ""}, {"status": "done"}):  # noqa: DTZ005
            with pytest.raises(InvalidOption):
                await call(running.url, "list", **bad)


async def test_a_list_tells_how_payloads_begin_and_why_jobs_wait(serve: Serve, call: Call) -> None:
    """If it is asked for: it costs the service a look at each job."""
    async with serve() as running:
        job = await call(running.url, "submit", "double", 7, delay_seconds=600)
        (plain,) = await call(running.url, "list")
        assert (plain.payload_excerpt, plain.waits_because) == (None, None)
        (told,) = await call(running.url, "list", excerpts=True)
        page = await call(running.url, "page", excerpts=True)
        assert (told.id, told.payload_excerpt) == (job.id, "7")
        assert told.waits_because.startswith("due in ")
        assert [each.payload_excerpt for each in page.jobs] == ["7"]


async def test_the_service_is_told_of_as_it_is_and_was(serve: Serve, call: Call) -> None:
    """At one moment, over the last hour, and out of the ordinary."""
    async with serve(workers=3) as running:
        failed = await call(running.url, "submit_and_wait", "fail")
        now = await call(running.url, "overview")
        assert (now.metrics.jobs_failed, now.queue.pending, len(now.workers)) == (1, 0, 3)
        assert {each.type: each.failed for each in now.types}["fail"] == 1
        (notice,) = await call(running.url, "notices")
        assert (notice.event, notice.times) == ("job_failed", 1)
        assert notice.fields["job_id"] == failed.id
        assert notice.first_at == datetime.fromisoformat(notice.fields["timestamp"])
        await call(running.url, "submit_and_wait", "fail")
        (again,) = await call(running.url, "notices", limit=1)
        assert (again.times, again.first_at) == (2, notice.first_at)
        past = await call(running.url, "history", seconds=600, step=300)
        assert (past.step_seconds, past.jobs_failed) == (300, []), "it is younger than a step"
        for method, arguments in (
            ("history", {"seconds": 0}),
            ("history", {"step": 3_601}),
            ("notices", {"limit": 0}),
        ):
            with pytest.raises(InvalidOption):
                await call(running.url, method, **arguments)


async def test_jobs_that_wait_are_changed_and_run_now(serve: Serve, call: Call) -> None:
    """As the queue does it, with its exceptions."""
    async with serve(grace=0) as running:
        job = await call(running.url, "submit", "double", 1, delay_seconds=600)
        edited = await call(running.url, "edit", job.id, priority=2, payload=7)
        assert (edited.priority, bytes(edited.payload)) == (2, b"7")
        moment = job.created_at + timedelta(days=1)
        edited = await call(running.url, "edit", job.id, run_at=moment, payload=600)
        assert (edited.run_at, edited.edits) == (moment, 2)
        after = await call(running.url, "submit", "double", 1, after=[job.id])
        with pytest.raises(WaitsForJobs) as waits:
            await call(running.url, "run_now", after.id)
        assert waits.value.job.id == after.id
        assert (await call(running.url, "run_now", job.id)).status == "pending"
        ended = await call(running.url, "wait", job.id)
        assert msgspec.json.decode(ended.result) == 1_200
        with pytest.raises(NotPending, match="already completed"):
            await call(running.url, "run_now", job.id)
        with pytest.raises(NotPending, match="already completed") as raised:
            await call(running.url, "edit", job.id, priority=3)
        assert raised.value.job.priority == 2


async def test_groups_are_submitted_waited_for_cancelled_and_repeated(
    serve: Serve, call: Call
) -> None:
    """As one, with the job that follows on their end."""
    async with serve() as running:
        jobs = [{"type": "double", "payload": number} for number in range(3)]
        done = {"type": "double", "payload": 100}
        group = await call(running.url, "submit_group", jobs, on_complete=done)
        assert (group.status, group.jobs) == ("running", 3)
        ended = await call(running.url, "wait_for_group", group.id, 30)
        assert (ended.status, ended.completed) == ("completed", 3)
        assert await call(running.url, "get_group", group.id) == ended
        follower = await call(running.url, "wait", ended.callback_id, 30)
        assert (follower.callback_of, msgspec.json.decode(follower.result)) == (group.id, 200)
        assert len(await call(running.url, "list", group=group.id)) == 3
        with pytest.raises(GroupConflict):
            await call(running.url, "retry_group", group.id)
        later = [{"type": "double", "payload": 1, "delay_seconds": 600}]
        group = await call(running.url, "submit_group", later, idempotency_key="k")
        again = await call(running.url, "submit_group", later, idempotency_key="k")
        assert (again.id, again.replayed) == (group.id, True)
        assert (await call(running.url, "cancel_group", group.id)).cancelled == 1
        retried = await call(running.url, "retry_group", group.id)
        assert (retried.retry_of, retried.jobs) == (group.id, 1)
        with pytest.raises(UnknownGroup):
            await call(running.url, "get_group", "nonsense")


async def test_the_queue_and_all_else_can_be_asked(serve: Serve, call: Call) -> None:
    """What an operator wants to know, as structs."""
    async with serve(workers=3) as running:
        assert (await call(running.url, "pause", "double")).paused_types == ["double"]
        assert (await call(running.url, "resume", "double")).paused_types == []
        assert (await call(running.url, "view")).store == "memory"
        assert [view.type for view in await call(running.url, "types")] == [
            *("clean/up", "double", "fail", "sleep")
        ]
        assert len(await call(running.url, "workers")) == 3
        assert await call(running.url, "schedules") == running.schedules()
        assert (await call(running.url, "metrics")).workers_running == 3


async def test_a_schedule_is_run_paused_and_resumed(serve: Serve, call: Call) -> None:
    """By its name, whatever is in it; a repeated request makes no second job."""
    async with serve() as running:
        paused = await call(running.url, "pause_schedule", "clean/up")
        assert [paused] == running.schedules()
        assert paused.paused
        assert not (await call(running.url, "resume_schedule", "clean/up")).paused
        first, again = [
            await call(running.url, "run_schedule_now", "clean/up", idempotency_key="k")
            for _ in range(2)
        ]
        assert (again.id, again.replayed, first.schedule) == (first.id, True, "clean/up")
        assert (await call(running.url, "run_schedule_now", "clean/up")).id != first.id


async def test_problems_are_the_public_exceptions(serve: Serve, call: Call) -> None:
    """A program catches what it would catch of a queue of its own."""
    async with serve(queue_capacity=1) as running:
        calls: list[tuple[type[Exception], tuple[Any, ...], dict[str, Any]]] = [
            (UnknownJobType, ("submit", "telegram"), {}),
            (UnknownSchedule, ("pause_schedule", "double"), {}),
            (InvalidPayload, ("submit", "double", "two"), {}),
            (InvalidPayload, ("submit_all", [{"type": "double", "payload": "two"}]), {}),
            (InvalidOption, ("submit", "double", 2), {"priority": 10}),
            (InvalidOption, ("submit", "double", 2), {"colour": "red"}),
            (InvalidOption, ("list",), {"limit": 0}),
            (UnknownJob, ("get", "job 1?x#y"), {}),
            (UnknownJob, ("wait", "job-1"), {}),
            (UnexpectedAnswer, ("get", ""), {}),
        ]
        for error, arguments, options in calls:
            with pytest.raises(error):
                await call(running.url, *arguments, **options)
        await call(running.url, "submit", "sleep", 600, delay_seconds=600)
        with pytest.raises(QueueFull, match="1 of 1 places taken"):
            await call(running.url, "submit", "double", 2, client={"patience_seconds": 0.5})


async def test_a_token_is_sent(serve: Serve, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the parameter, or else that of the environment with the highest role."""
    async with serve(tokens=("sécret",)) as running:
        with pytest.raises(Unauthorized, match="valid token"):
            await call(running.url, "metrics")
        await call(running.url, "metrics", client={"token": "sécret"})
        monkeypatch.setenv("JOB_SERVICE_TOKEN", "sécret, other")
        monkeypatch.setenv("JOB_SERVICE_URL", running.url)
        await call(None, "metrics")
        for text in ("me operate sécret, other", " me\toperate\tsécret ", "\tsécret,other"):
            monkeypatch.setenv("JOB_SERVICE_TOKEN", text)
            await call(None, "metrics")
        monkeypatch.setenv("JOB_SERVICE_TOKEN", "her read other, me operate sécret, him read word")
        await call(None, "pause")
        monkeypatch.setenv("JOB_SERVICE_TOKEN", "me sécret")
        with pytest.raises(SettingsError, match="must be a token, or NAME ROLE TOKEN"):
            await call(None, "metrics")


async def test_a_token_of_too_low_a_role_is_told_so(serve: Serve, call: Call) -> None:
    """It is the same exception as that of a wrong one, and its text says which role is needed."""
    async with serve(tokens=("me read word",)) as running:
        await call(running.url, "metrics", client={"token": "word"})
        with pytest.raises(Unauthorized, match="needs the role operate"):
            await call(running.url, "pause", client={"token": "word"})


async def test_a_unix_socket_and_tls_are_spoken(
    serve: Serve, call: Call, tmp_path: Path, certificate: Certificate
) -> None:
    """The URL is the one that the service says it has."""
    async with serve(unix=str(tmp_path / "socket")) as running:
        assert running.url.startswith("unix:")
        assert (await call(running.url, "submit_and_wait", "double", 2)).status == "completed"
    trust = certificate.trust()
    keys = {"certfile": certificate.certfile, "keyfile": certificate.keyfile}
    async with serve(**keys) as running:
        await call(running.url, "metrics", client={"ssl_context": trust})
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await call(running.url, "metrics", client={"patience_seconds": 0})


async def test_a_password_for_a_proxy_is_not_shown(call: Call) -> None:
    """An error names the service without what comes before its host."""
    patience = {"patience_seconds": 0}
    with pytest.raises(Unreachable, match=r"no service answers at http://127\.0\.0\.1:9: "):
        await call("http://ada:s3cret@127.0.0.1:9", "metrics", client=patience)


@pytest.mark.parametrize(
    ("url", "token"),
    [
        *(
            (url, None)
            for url in ("localhost:8080", "ftp://localhost", "http://[::1", "http://a:b")
        ),
        *((url, None) for url in ("http://", "unix:", "http://localhost?x=1")),
        *((url, None) for url in ("http://a..b", "http://a/\n", "http://\ud800")),
        (None, "two words"),
        (None, "line\nbreak"),
        (None, "name\tread\ttoken"),
    ],
)
def test_what_is_no_address_is_refused(url: str | None, token: str | None) -> None:
    """Before anything is sent."""
    for kind in (JobClient, AsyncJobClient):
        with pytest.raises(SettingsError):
            kind(url, token=token)


@pytest.mark.parametrize("given", [{"url": 8080}, {"token": b"secret"}])
def test_what_is_no_text_is_told(given: dict[str, Any]) -> None:
    """Who forgets what a parameter is for hears of it at once, by the parameter's name."""
    for kind in (JobClient, AsyncJobClient):
        with pytest.raises(SettingsError, match="must be a text, not "):
            kind(**given)


@pytest.mark.parametrize("proxy", ["ftp://proxy", "socks5://proxy"])
def test_a_proxy_that_can_not_be_used_is_told(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names it; a Unix socket needs none."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    for kind in (JobClient, AsyncJobClient):
        with pytest.raises(SettingsError):
            kind("http://jobs.example")
        kind("unix:/run/jobs.socket")


async def test_a_path_of_the_url_is_kept(call: Call) -> None:
    """The service may be below some path of a proxy."""
    asked = []

    async def answer(stream: trio.SocketStream) -> None:
        asked.append(await stream.receive_some())
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/intern/jobs/"
        assert await call(url, "list", limit=5) == []
        nursery.cancel_scope.cancel()
    assert asked[0].startswith(b"GET /intern/jobs/jobs?order=oldest&limit=5 HTTP/1.1\r\n")


async def test_all_pages_of_a_list_are_walked_through(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One job after the other, blocking and not."""
    async with serve() as running:
        ids = [(await running.queue.submit("double", number)).id for number in range(5)]

        def read() -> list[str]:
            with JobClient(running.url) as client:
                return [job.id for job in client.list_all()]

        assert await trio.to_thread.run_sync(read) == ids
        async with AsyncJobClient(running.url) as client:
            found = [job.id async for job in client.list_all(newest_first=True)]
        assert found == ids[::-1]
