"""One whole service inside a test: how it starts, lives beside others, and ends."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from job_service.errors import CannotListen
from job_service.hosting import open_telemetry_of
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry
from job_service.process.shutdown import Shutdown
from job_service.running_service import RunningService
from job_service.service_events import ServiceEvents
from job_service.settings import Settings
from job_service.supervisor import Supervisor
from job_service.telemetry.assembly import Telemetry
from job_service.telemetry.metrics import MetricsSnapshot


class Hosted:
    """A service that a test hosts; `supervisor.run` is for the test to start."""

    def __init__(
        self, log_path: Path, telemetry: Telemetry, registry: Registry, settings: Settings
    ) -> None:
        self._log_path = log_path
        self.telemetry = telemetry
        self.shutdown = Shutdown()
        self.given_up = trio.Event()
        self.supervisor = Supervisor(
            settings, registry, telemetry, self.shutdown, give_up=self.given_up.set
        )

    @property
    def metrics(self) -> MetricsSnapshot:
        """Its metrics at this moment."""
        return self.telemetry.metrics.snapshot()

    def events(self) -> list[str]:
        """The names of its log lines; complete once it has ended."""
        return [line["event"] for line in self.lines()]

    def lines(self) -> list[dict[str, Any]]:
        """Its log lines; complete once it has ended."""
        return [json.loads(line) for line in self._log_path.read_bytes().splitlines()]


@contextmanager
def hosted(log_path: Path, registry: Registry, **settings: Any) -> Iterator[Hosted]:
    """A service whose log goes to `log_path`."""
    # A slow machine is no stall of ours, but for those who ask.
    chosen = Settings(port=0, **{"stall_threshold": 60.0, **settings})
    descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT)
    with open_telemetry_of(chosen, descriptor) as telemetry:
        yield Hosted(log_path, telemetry, registry, chosen)


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., Any]:
    """`hosted` with a log file of its own for each service."""
    numbers = iter(range(100))
    return lambda registry, **settings: hosted(
        tmp_path / f"{next(numbers)}.log", registry, **settings
    )


Host = Callable[..., Any]


async def finished(service: RunningService, job_id: str) -> None:
    """Wait until a job has ended."""
    while (await service.queue.get(job_id)).status in ("pending", "processing"):
        await trio.lowlevel.checkpoint()


async def test_a_service_tells_its_life_from_start_to_stop(registry: Registry, host: Host) -> None:
    """Workers first, then the service; jobs; draining; workers; and the service's end as last."""

    @registry.job("noop")
    async def noop() -> None:
        pass

    with host(registry, workers=1) as service:
        async with trio.open_nursery() as nursery:
            running = await nursery.start(service.supervisor.run)
            await finished(running, (await running.queue.submit("noop")).id)
            service.shutdown.request("requested")
    assert service.events() == [
        "worker_started",
        "service_started",
        "job_created",
        "job_enqueued",
        "job_started",
        "job_completed",
        "service_draining",
        "worker_stopped",
        "service_stopped",
    ]
    assert service.lines()[1]["url"] == running.url
    assert service.lines()[-1]["jobs_completed"] == 1


async def test_two_services_in_one_run_share_nothing(host: Host) -> None:
    """Each has its own job types, jobs, metrics, log and end."""
    registries = Registry(), Registry()

    @registries[0].job("left")
    @registries[1].job("right")
    async def noop() -> None:
        pass

    with host(registries[0]) as left, host(registries[1]) as right:
        async with trio.open_nursery() as nursery, httpx.AsyncClient() as client:
            running_left = await nursery.start(left.supervisor.run)
            running_right = await nursery.start(right.supervisor.run)
            job = await client.post(f"{running_left.url}/jobs", json={"type": "left"})
            assert job.status_code == 201
            elsewhere = await client.post(f"{running_right.url}/jobs", json={"type": "left"})
            assert elsewhere.status_code == 400
            await finished(running_left, job.json()["id"])
            missing = await client.get(running_right.url + job.headers["Location"])
            assert missing.status_code == 404

            left.shutdown.request("requested")
            with trio.fail_after(5):
                while "service_stopped" not in left.events():
                    await trio.sleep(0.01)
            still_there = await client.get(f"{running_right.url}/health/ready")
            assert still_there.status_code == 200
            right.shutdown.request("requested")
    assert left.metrics.jobs_completed == 1
    assert right.metrics.jobs_created == 0
    assert "job_created" in left.events()
    assert "job_created" not in right.events()


async def test_a_crash_ends_the_service_visibly(registry: Registry, host: Host) -> None:
    """An error that no handler may raise ends everything: the job is counted, the error logged."""

    @registry.job("crash")
    async def crash() -> None:
        raise KeyboardInterrupt("out of bounds")

    with host(registry, workers=2) as service:
        with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
            async with trio.open_nursery() as nursery:
                running = await nursery.start(service.supervisor.run)
                await running.queue.submit("crash")
        assert service.metrics.jobs_abandoned == 1
    lines = service.lines()
    assert lines[-1]["event"] == "service_stopped"
    assert lines[-1]["reason"] == "crashed"
    assert lines[-1]["level"] == "error"
    assert lines[-1]["error"] == "BaseExceptionGroup: [KeyboardInterrupt: out of bounds]"
    assert "in crash" in lines[-1]["traceback"]
    reasons = {line["reason"] for line in lines if line["event"] == "worker_stopped"}
    assert reasons == {"crashed", "cancelled"}


async def test_a_crash_outside_the_engine_is_a_crash_too(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever part of the service breaks, its last line says so."""

    async def broken(_: ServiceEvents) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(ServiceEvents, "look_each_second", broken)
    with host(registry) as service, pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        await service.supervisor.run()
    assert service.lines()[-1]["reason"] == "crashed"
    assert "a bug of ours" in service.lines()[-1]["error"]


def no_luck() -> None:
    """A callback that raises."""
    raise LookupError("no luck")


async def no_luck_at_all() -> None:
    """A task that raises."""
    no_luck()


@pytest.mark.parametrize(
    "break_trio",
    [
        lambda: trio.lowlevel.spawn_system_task(no_luck_at_all),
        lambda: trio.lowlevel.current_trio_token().run_sync_soon(no_luck),
    ],
    ids=["system task", "callback"],
)
def test_an_error_that_ends_trio_itself_is_a_crash(
    registry: Registry, host: Host, break_trio: Callable[[], object]
) -> None:
    """Trio cancels the service then, but its last line has the error, and no job is lost."""

    @registry.job("break")
    async def break_it() -> None:
        break_trio()
        await trio.sleep_forever()

    async def program() -> None:
        async with trio.open_nursery() as nursery:
            running = await nursery.start(service.supervisor.run)
            await running.queue.submit("break")

    with host(registry, workers=1) as service:
        with pytest.raises(trio.TrioInternalError):
            trio.run(program)
        assert not service.supervisor.ended_well
    (abandoned,) = [line for line in service.lines() if line["event"] == "job_abandoned"]
    assert abandoned["reason"] == "crashed"
    last = service.lines()[-1]
    assert (last["event"], last["reason"], last["level"]) == ("service_stopped", "crashed", "error")
    assert last["error"] == "LookupError: no luck"
    assert "in no_luck" in last["traceback"]


async def test_a_service_that_is_cancelled_by_its_program_did_not_crash(
    registry: Registry, host: Host
) -> None:
    """Its jobs are left behind and its last line is said all the same."""

    @registry.job("hang")
    async def hang() -> None:
        await trio.sleep_forever()

    with host(registry, workers=1) as service:
        async with trio.open_nursery() as nursery:
            running = await nursery.start(service.supervisor.run)
            await running.queue.submit("hang")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    (abandoned,) = [line for line in service.lines() if line["event"] == "job_abandoned"]
    assert abandoned["reason"] == "cancelled"
    assert service.lines()[-1]["event"] == "service_stopped"
    assert service.lines()[-1]["reason"] == "cancelled"
    assert service.lines()[-1]["level"] == "info"


async def test_after_its_last_line_a_service_says_nothing(registry: Registry, host: Host) -> None:
    """Not even for a thread that was let go and still logs."""
    released = threading.Event()
    returned = threading.Event()

    @registry.job("late")
    def late(job: JobContext) -> None:
        released.wait(10)
        job.log.info("too_late")
        returned.set()

    with host(registry, workers=1, grace=0) as service:
        async with trio.open_nursery() as nursery:
            running = await nursery.start(service.supervisor.run)
            await running.queue.submit("late")
            await trio.testing.wait_all_tasks_blocked()
            service.shutdown.request("requested")
        released.set()
        assert returned.wait(10)
    assert service.events()[-1] == "service_stopped"


async def test_a_handler_that_can_t_be_ended_is_given_up(registry: Registry, host: Host) -> None:
    """When only it is left, all is said and done first, and then the process may end."""
    release = trio.Event()

    @registry.job("stubborn")
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    with host(registry, workers=1, grace=0) as service:
        async with trio.open_nursery() as nursery:
            running = await nursery.start(service.supervisor.run)
            await running.queue.submit("stubborn")
            await trio.testing.wait_all_tasks_blocked()
            service.shutdown.request("requested")
            with trio.fail_after(10):
                await service.given_up.wait()
            assert service.metrics.jobs_abandoned == 1
            assert service.metrics.jobs_in_progress == 0
            release.set()  # an embedding program that stays alive sees it end after all
    events = service.events()
    assert events.count("service_stopped") == 1
    assert events.count("job_abandoned") == 1
    assert "job_completed" not in events


async def streamed(client: httpx.AsyncClient, url: str, then: Callable[[], None]) -> list[str]:
    """Open the live stream, call `then`, and give the events of the stream once it has ended."""
    with trio.fail_after(10):
        async with client.stream("GET", f"{url}/events") as stream:
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith("retry: ")
            then()
            return [line[7:] async for line in lines if line.startswith("event: ")]


async def test_the_live_stream_tells_a_drain_to_its_end(registry: Registry, host: Host) -> None:
    """It outlives the workers and then ends as streams should, without being cut off."""

    def shut_down() -> None:
        service.shutdown.request("requested")

    with host(registry, workers=2) as service:
        async with trio.open_nursery() as nursery, httpx.AsyncClient() as client:
            running = await nursery.start(service.supervisor.run)
            told = await streamed(client, running.url, shut_down)
    assert told == ["service_draining", "worker_stopped", "worker_stopped"]


async def test_the_live_stream_ends_even_where_a_handler_does_not(
    registry: Registry, host: Host
) -> None:
    """It tells that the handler's job was left behind, and holds up nothing."""
    release = trio.Event()

    @registry.job("stubborn")
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    def shut_down() -> None:
        service.shutdown.request("requested")

    with host(registry, workers=1, grace=0) as service:
        async with trio.open_nursery() as nursery, httpx.AsyncClient() as client:
            running = await nursery.start(service.supervisor.run)
            await running.queue.submit("stubborn")
            await trio.testing.wait_all_tasks_blocked()
            told = await streamed(client, running.url, shut_down)
            assert told == ["service_draining", "job_abandoned"]
            with trio.fail_after(10):
                await service.given_up.wait()
            release.set()


async def test_a_thread_can_end_it_while_clients_listen(registry: Registry, host: Host) -> None:
    """If the loop is blocked, clients hear no more, but everything is logged and counted."""

    @registry.job("hang")
    async def hang() -> None:
        await trio.sleep_forever()

    with host(registry, workers=1) as service:
        async with trio.open_nursery() as nursery:
            running = await nursery.start(service.supervisor.run)
            await running.queue.submit("hang")
            feed = service.telemetry.feed
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(feed.wait, feed.last)
            await trio.testing.wait_all_tasks_blocked()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(service.supervisor.end_without_loop).result(timeout=10)
            nursery.cancel_scope.cancel()
    assert service.events()[-2:] == ["job_abandoned", "service_stopped"]
    assert service.metrics.jobs_abandoned == 1


async def test_a_stall_at_the_very_end_is_in_the_log_and_in_its_last_line(
    registry: Registry, host: Host
) -> None:
    """Twice in the log, with its job, once in the counters, and before the service's last line."""

    @registry.job("last")
    async def last() -> None:
        service.shutdown.request("requested")
        time.sleep(0.3)  # noqa: ASYNC251 (it is what the test is about)
        raise KeyboardInterrupt("out of bounds")

    with (
        host(registry, workers=1, stall_threshold=0.05) as service,
        pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True),
    ):
        async with trio.open_nursery() as nursery:
            running = await nursery.start(service.supervisor.run)
            await running.queue.submit("last")
    first, over = [
        line
        for line in service.lines()
        if line["event"] == "loop_stalled" and line.get("job_type") == "last"
    ]
    assert "over" not in first
    assert over["over"]
    assert first["where"] == over["where"]
    assert service.lines()[-1]["event"] == "service_stopped"
    stalls = [line for line in service.lines() if line.get("over")]
    assert service.lines()[-1]["loop_stalls"] == len(stalls)


async def test_a_busy_port_is_said_plainly(registry: Registry, host: Host) -> None:
    """The address that can't be had is named."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    with host(registry) as service:
        supervisor = Supervisor(
            Settings(port=port),
            registry,
            service.telemetry,
            Shutdown(),
            give_up=service.given_up.set,
        )
        with pytest.raises(CannotListen, match=f"127.0.0.1 port {port}: Address already in use"):
            await supervisor.run()
    await listener.aclose()


async def test_lines_that_were_dropped_are_counted_at_once(registry: Registry, host: Host) -> None:
    """Metrics and live stream tell it while the log can't; the log tells it in its own place."""
    with host(registry) as service:
        async with trio.open_nursery() as nursery, httpx.AsyncClient() as client:
            running = await nursery.start(service.supervisor.run)
            service.telemetry.sink._dropped = 3
            metrics = (await client.get(f"{running.url}/metrics")).json()
            assert metrics["log_lines_dropped"] == 3
            feed = service.telemetry.feed
            assert feed.read(feed.last - 1, 1)[0].event == "log_lines_dropped"
            service.shutdown.request("requested")
    assert "log_lines_dropped" not in service.events()
    assert service.lines()[-1]["log_lines_dropped"] == 3


async def test_a_log_that_cannot_be_reopened_is_said(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the file and the reason, in the old file, which is still written to."""
    monkeypatch.setattr("job_service.telemetry.history.History.seconds_left", 0.01)
    nowhere = str(tmp_path / "gone" / "log")
    with hosted(tmp_path / "log", registry) as service:
        service.telemetry.sink._file._path = nowhere
        async with trio.open_nursery() as nursery:
            await nursery.start(service.supervisor.run)
            service.telemetry.sink.reopen()
            with trio.fail_after(10):
                while "log_reopen_failed" not in service.events():
                    await trio.sleep(0.01)
            service.shutdown.request("requested")
    (said,) = [line for line in service.lines() if line["event"] == "log_reopen_failed"]
    assert (said["level"], said["path"]) == ("error", nowhere)
    assert "No such file or directory" in said["error"]
    assert service.events().count("service_stopped") == 1
