"""What an open dashboard costs the service, and what 10,000 jobs a minute cost the dashboard."""

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import CDPSession

from bench.browser import chromium, opened, post
from bench.http import CONNECTIONS, WRK_SCRIPT, free_port, requests_per_second, running
from bench.measure import Comparison, compare

BLANK = "about:blank"
JOBS_PER_SECOND = 10_000 // 60
BATCHES_PER_SECOND = 10
SECONDS = 30


def open_against_closed(rounds: int = 9) -> Comparison | None:
    """Requests per second with a live dashboard and without; None without wrk or Chromium."""
    if shutil.which("wrk") is None or shutil.which("chromium") is None:
        return None
    with _service() as (url, port, folder), chromium() as browser:
        script = folder / "post.lua"
        script.write_text(WRK_SCRIPT)
        page = opened(browser, url)

        def with_dashboard() -> float:
            page.goto(url)
            page.get_by_text("Live", exact=True).wait_for()
            rate = requests_per_second(port, script)
            page.goto(BLANK)
            return rate

        return compare(
            f"POST /jobs, an open dashboard against none, {CONNECTIONS} connections",
            "requests",
            with_dashboard,
            lambda: requests_per_second(port, script),
            rounds,
        )


class Load(NamedTuple):
    """What a page does in each second, and its longest task, if any is over 0.05 seconds."""

    busy_seconds: float
    requests: float
    longest_task_seconds: float

    def __str__(self) -> str:
        longest = self.longest_task_seconds
        return (
            "dashboard at 10,000 jobs a minute, per second\n"
            f"  busy      {self.busy_seconds:9.3f} seconds\n"
            f"  requests  {self.requests:9.1f}\n"
            f"  longest task {f'{longest:.3f} seconds' if longest else 'below 0.05 seconds'}"
        )


def page_under_load() -> Load | None:
    """The page of a service that gets 10,000 jobs a minute; None without Chromium."""
    if shutil.which("chromium") is None:
        return None
    with _service() as (url, _, _), _submitting(url), chromium() as browser:
        page = opened(browser, url)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.evaluate(
            """() => {
                window.longest = 0;
                new PerformanceObserver((list) => {
                    const lengths = list.getEntries().map((task) => task.duration);
                    longest = Math.max(longest, ...lengths);
                }).observe({type: "longtask"});
            }"""
        )
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        before = _task_seconds(session)
        page.wait_for_timeout(SECONDS * 1000)
        return Load(
            (_task_seconds(session) - before) / SECONDS,
            len(requests) / SECONDS,
            page.evaluate("longest") / 1000,
        )


def _task_seconds(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    seconds: float = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    return seconds


@contextmanager
def _service() -> Iterator[tuple[str, int, Path]]:
    port = free_port()
    command = [sys.executable, "-m", "service", "--port", str(port), "--log-format", "json"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(command, port, folder / "log"):
            yield f"http://127.0.0.1:{port}", port, folder


@contextmanager
def _submitting(url: str) -> Iterator[None]:
    over = threading.Event()
    line = json.dumps({"type": "echo", "payload": {"n": 1}})
    batch = f"{line}\n" * (JOBS_PER_SECOND // BATCHES_PER_SECOND + 1)

    def submit() -> None:
        while not over.wait(1 / BATCHES_PER_SECOND):
            post(f"{url}/jobs/batch", batch, "application/x-ndjson")

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
