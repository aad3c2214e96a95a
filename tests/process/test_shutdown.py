"""The end of a real process: what it finishes, what it leaves behind, and what it says of both."""

import json
import signal
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from subprocess import PIPE

import httpx
import pytest
import trio

from tests.forking import POLL_SECONDS
from tests.process.conftest import COMMAND, ServiceProcess, Start, submitting

ENDINGS = {"job_completed", "job_failed", "job_cancelled", "job_abandoned"}

STUBBORN_JOBS = """
import threading
import time
import trio
from job_service import Registry

registry = Registry()

@registry.job("swallow")
async def swallow() -> None:
    while True:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            pass

@registry.job("shielded")
async def shielded() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

@registry.job("block")
async def block() -> None:
    time.sleep(3600)

@registry.job("thread")
def thread() -> None:
    threading.Event().wait()
"""


def assert_books_agree(service: ServiceProcess) -> None:
    """The log lines, counted, are the counters; each created job ended exactly once."""
    lines, last = service.lines(), service.lines()[-1]
    assert last["event"] == "service_stopped"
    counted = service.count()
    for event in ENDINGS | {"job_created", "job_retried"}:
        assert last[event.replace("job_", "jobs_")] == counted[event], event
    created = Counter(line["job_id"] for line in lines if line["event"] == "job_created")
    ended = Counter(line["job_id"] for line in lines if line["event"] in ENDINGS)
    assert created == ended
    assert set(created.values()) <= {1}
    assert counted["worker_started"] == counted["worker_stopped"] == 10


def assert_the_stall_is_named(service: ServiceProcess, job_id: str) -> None:
    """The log says what blocked the loop before it was ended, and once more when it was."""
    first, last = service.of("loop_stalled")
    for line in first, last:
        assert line["job_id"] == job_id
        assert line["where"].endswith("in block")
    assert "over" not in first
    assert last["over"]
    assert service.lines()[-1]["loop_stalls"] == 1


@pytest.mark.slow
async def test_a_drain_in_mid_load_loses_nothing(start: Start) -> None:
    """After SIGTERM under load every receipt, log line and counter tells the same story."""
    service = await start()
    receipts: list[str] = []

    async def submit_until_the_end(number: int) -> None:
        payloads = {
            "echo": {"n": number},
            "sleep": {"seconds": 0.02},
            "flaky": {"failures": 1},
            "count_words": {"text": "a b c"},
        }
        # Who comes after the last job finds nobody to refuse it.
        with suppress(httpx.TransportError):
            async with service.client() as client:
                for job_type, payload in cycle(payloads.items()):
                    body = {"type": job_type, "payload": payload}
                    answer = await client.post("/jobs", json=body)
                    if answer.status_code == 503:
                        assert "Retry-After" in answer.headers
                        return
                    if answer.status_code == 201:
                        receipts.append(answer.json()["id"])
                    else:
                        assert answer.status_code == 429

    async with trio.open_nursery() as clients:
        for number in range(8):
            clients.start_soon(submit_until_the_end, number)
        await service.line("job_completed", 100)
        service.signal()

    assert await service.exit_status() == 0
    assert_books_agree(service)
    created = [line["job_id"] for line in service.of("job_created")]
    assert sorted(receipts) == sorted(created)
    assert service.count()["job_retried"] > 0
    assert {line["reason"] for line in service.of("worker_stopped")} == {"drained"}


@pytest.mark.slow
async def test_a_drain_can_be_watched_until_its_last_job(start: Start) -> None:
    """While it drains the service refuses jobs and is not ready, and still answers all else."""
    service = await start()
    async with submitting(service) as submit, service.client() as client:
        job_id = await submit("sleep", {"seconds": 3600})
        await service.line("job_started")
        assert (await client.get("/health/ready")).status_code == 200
        service.signal(signal.SIGINT)
        draining = await service.line("service_draining")

        assert draining["reason"] == "SIGINT"
        assert draining["jobs_in_progress"] == 1
        refused = await client.post("/jobs", json={"type": "echo"})
        assert refused.status_code == 503
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200
        assert (await client.get(f"/jobs/{job_id}")).json()["status"] == "processing"

        assert (await client.post(f"/jobs/{job_id}/cancel")).status_code == 200
        assert await service.exit_status() == 0
    assert service.lines()[-1]["reason"] == "drained"
    assert service.lines()[-1]["jobs_rejected"] == 1


@pytest.mark.slow
async def test_a_terminal_that_goes_begins_a_drain(start: Start) -> None:
    """However often that is said, it insists on nothing."""
    service = await start()
    async with submitting(service) as submit:
        await submit("sleep", {"seconds": 1})
        await service.line("job_started")
        service.signal(signal.SIGHUP)
        assert (await service.line("service_draining"))["reason"] == "SIGHUP"
        service.signal(signal.SIGHUP)
    assert await service.exit_status() == 0
    assert service.lines()[-1]["reason"] == "drained"
    assert service.lines()[-1]["jobs_completed"] == 1


@pytest.mark.slow
async def test_under_nohup_no_terminal_is_missed(start: Start) -> None:
    """Where SIGHUP is ignored from the start it stays so."""
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    service = await start(before=nohup)
    service.signal(signal.SIGHUP)
    service.signal(signal.SIGTERM)
    assert await service.exit_status() == 0
    assert service.of("service_draining")[0]["reason"] == "SIGTERM"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "signals", "reason"),
    [
        (["--grace", "0.2"], 1, "grace_over"),
        (["--grace", "60"], 2, "second_signal"),
    ],
)
async def test_what_is_not_done_in_time_is_left_behind(
    start: Start, options: list[str], signals: int, reason: str
) -> None:
    """Grace over, or a second signal, abandons what runs and what waits, each with its line."""
    service = await start("--workers", "10", *options)
    async with submitting(service) as submit:
        for _ in range(12):
            await submit("sleep", {"seconds": 3600})
    await service.line("job_started", 10)
    for _ in range(signals):
        service.signal()
        await service.line("service_draining")

    assert await service.exit_status() == 1
    assert_books_agree(service)
    abandoned = service.of("job_abandoned")
    assert {line["reason"] for line in abandoned} == {reason}
    assert len(abandoned) == 12
    assert sum("worker_id" in line for line in abandoned) == 10
    assert service.lines()[-1]["reason"] == reason


@pytest.mark.slow
async def test_signals_in_a_burst_are_no_more_than_two(start: Start) -> None:
    """However close they come, the service stops at once and as it should."""
    service = await start("--workers", "1")
    async with submitting(service) as submit:
        await submit("sleep", {"seconds": 3600})
    await service.line("job_started")
    for _ in range(50):
        service.signal()
        service.signal(signal.SIGINT)

    assert await service.exit_status() == 1
    assert [line["reason"] for line in service.of("job_abandoned")] == ["second_signal"]
    assert service.lines()[-1]["event"] == "service_stopped"


@pytest.mark.slow
async def test_no_handler_can_hold_the_end(start: Start, tmp_path: Path) -> None:
    """One that swallows or shields off its cancellation, blocks the loop, or never returns."""
    (tmp_path / "stubborn.py").write_text(STUBBORN_JOBS)

    async def run_and_stop(job_type: str, reason: str) -> None:
        service = await start("--jobs", "stubborn:registry", "--grace", "0.1")
        async with submitting(service) as submit:
            job_id = await submit(job_type)
        await service.line("job_started")
        service.signal()

        assert await service.exit_status() == 1
        (abandoned,) = service.of("job_abandoned")
        assert abandoned["job_id"] == job_id
        assert abandoned["reason"] == reason
        assert service.lines()[-1]["event"] == "service_stopped"
        assert service.lines()[-1]["jobs_abandoned"] == 1
        if reason == "loop_blocked":
            assert_the_stall_is_named(service, job_id)

    async with trio.open_nursery() as side_by_side:
        side_by_side.start_soon(run_and_stop, "swallow", "grace_over")
        side_by_side.start_soon(run_and_stop, "shielded", "grace_over")
        side_by_side.start_soon(run_and_stop, "thread", "grace_over")
        side_by_side.start_soon(run_and_stop, "block", "loop_blocked")


@pytest.mark.slow
async def test_no_client_can_hold_the_end(start: Start) -> None:
    """Clients that stay connected, idle or in the middle of a request, don't delay the exit."""
    service = await start()
    host, port = service.of("service_started")[0]["url"].removeprefix("http://").split(":")
    openings = [b"", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /jobs HTTP/1.1\r\nHo"]
    openings.append(
        b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    streams = [await trio.open_tcp_stream(host, int(port)) for _ in openings]
    for stream, opening in zip(streams, openings, strict=True):
        await stream.send_all(opening)
    await streams[1].receive_some()  # its answer: from here on the connection is idle
    service.signal()

    assert await service.exit_status(within=10) == 0
    for stream in streams:
        await stream.aclose()


@pytest.mark.slow
async def test_no_log_reader_can_hold_the_service(nursery: trio.Nursery) -> None:
    """With a full stdout pipe that nobody reads, jobs are run, and the end is as quick as ever."""
    process = await nursery.start(partial(trio.run_process, COMMAND, stdout=PIPE, check=False))
    first_lines = b""
    while b"service_started" not in first_lines:
        first_lines += await process.stdout.receive_some()
    (started,) = [line for line in first_lines.splitlines() if b"service_started" in line]
    async with httpx.AsyncClient(base_url=json.loads(started)["url"]) as client:
        with trio.fail_after(30):
            for _ in range(150):  # over 1 kB of lines each: more than twice what a pipe holds
                answer = await client.post("/jobs", json={"type": "fail", "max_retries": 0})
                assert answer.status_code == 201
            last = answer.json()["id"]
            while (await client.get(f"/jobs/{last}")).json()["status"] != "failed":
                await trio.sleep(POLL_SECONDS)
    process.terminate()
    with trio.fail_after(15):
        assert await process.wait() == 0
