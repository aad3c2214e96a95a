"""The example `queue_alert`: what it says, and that it says nothing if all is well."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

from job_service import Registry, Retry, Settings, host
from tests.examples.conftest import Load

SERIES = ("jobs_rejected", "jobs_failed", "jobs_retried", "jobs_completed", "loop_stalls")
QUIET = {name: [0, 0] for name in SERIES}


@pytest.fixture
def troubles(load: Load) -> Callable[..., list[str]]:
    """What it finds."""
    module = load("queue_alert")

    def find(types: Any = (), **past: list[int]) -> list[str]:
        return list(module.troubles({"types": types}, QUIET | past))

    return find


def test_a_queue_that_moves_is_no_alert(troubles: Callable[..., list[str]]) -> None:
    """Nor are a few failures, of which no share says anything."""
    moves = {"type": "mail", "ready": 3, "oldest_ready_seconds": 2.0, "seconds_to_empty": 9.0}
    empty = {"type": "report", "ready": 0, "seconds_to_empty": 0.0}
    assert troubles([moves, empty], jobs_failed=[2, 1], jobs_completed=[0, 1]) == []


def test_each_trouble_is_a_line(troubles: Callable[..., list[str]]) -> None:
    """With the type, and the number that is too high."""
    assert troubles(
        [
            {"type": "a", "ready": 3, "oldest_ready_seconds": 90.0, "seconds_to_empty": 5.0},
            {"type": "b", "ready": 1, "oldest_ready_seconds": 9.0},
            {"type": "c", "ready": 9, "oldest_ready_seconds": 9.0, "seconds_to_empty": 720.0},
        ],
        jobs_rejected=[3, 4],
        jobs_failed=[1, 2],
        jobs_retried=[0, 2],
        jobs_completed=[5, 5],
        loop_stalls=[0, 2],
    ) == [
        "a: 3 ready, the oldest for 90 seconds",
        "b: 1 ready, and none has begun for a minute",
        "c: 9 ready, which takes 12 minutes",
        "7 submissions were turned away",
        "5 of 15 attempts failed",
        "the event loop stalled 2 times",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"HTTP/1.0 200 OK\r\n\r\n<html>",
        b"HTTP/1.0 503 Service Unavailable\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "half an answer", "a page", "a refusal"],
)
async def test_whatever_answers_instead_is_an_alert(
    load: Load, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    """One line of cron's mail, and not a traceback."""
    main = load("queue_alert").main

    async def hang_up(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, hang_up, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        assert await trio.to_thread.run_sync(main, url, "5") == 1
        nursery.cancel_scope.cancel()
    assert capsys.readouterr().out.startswith(f"no answer from {url}: ")


async def test_it_asks_a_service(
    load: Load, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    """One that is well, one whose jobs fail, and one that is gone."""
    registry = Registry()

    @registry.job("fails", retry=Retry(max_retries=0))
    async def fails() -> None:
        raise ValueError("no")

    main = load("queue_alert").main
    settings = Settings(port=0, log_file=str(tmp_path / "log"))
    async with host(registry, settings) as running:
        assert await trio.to_thread.run_sync(main, running.url, "5") == 0
        for _ in range(10):
            job = await running.queue.submit("fails")
            await running.queue.wait(job.id, 5)
        with trio.fail_after(10):  # until the second is over in which they failed
            while await trio.to_thread.run_sync(main, running.url, "5") == 0:
                await trio.sleep(0.05)
        assert capsys.readouterr().out == "10 of 10 attempts failed\n"
    assert await trio.to_thread.run_sync(main, running.url, "5") == 1
    assert capsys.readouterr().out.startswith(f"no answer from {running.url}: ")
