"""What an open dashboard costs the service, and what 10,000 jobs a minute cost the dashboard."""

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.browser import chromium, opened, post
from bench.http import CONNECTIONS, WRK_SCRIPT, requests_per_second
from bench.loopback import free_port, running
from bench.measure import Comparison, Figures, Goal, take_turns

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

BLANK = "about:blank"
JOBS_PER_SECOND = 10_000 // 60
BATCHES_PER_SECOND = 10
SECONDS = 10


def open_against_closed(rounds: int) -> Comparison:
    """Requests per second with a live dashboard and without."""
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

        sides = take_turns(
            {
                "POST /jobs, dashboard open": with_dashboard,
                "POST /jobs, dashboard closed": lambda: requests_per_second(port, script),
            },
            rounds,
        )
    return Comparison(
        f"An open dashboard, {CONNECTIONS} connections",
        "requests per second",
        sides,
        goals={"POST /jobs, dashboard closed": Goal(at_least=0.8)},
    )


def page_under_load(rounds: int) -> Figures:
    """How busy the page is while its service gets 10,000 jobs a minute."""
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
        busy, calls = [], []
        for _ in range(rounds):
            before, asked = _task_seconds(session), len(requests)
            page.wait_for_timeout(SECONDS * 1000)
            busy.append((_task_seconds(session) - before) / SECONDS)
            calls.append((len(requests) - asked) / SECONDS)
        longest = page.evaluate("longest") / 1000
    return Figures(
        "The dashboard at 10,000 jobs a minute",
        "each second of it",
        {
            "seconds of its processor": busy,
            "requests": calls,
            "longest task in seconds, if over 0.05": [longest],
        },
        goals={"seconds of its processor": Goal(at_most=0.25)},
    )


def _task_seconds(session: "CDPSession") -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    seconds: float = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    return seconds


@contextmanager
def _service() -> Iterator[tuple[str, int, Path]]:
    port = free_port()
    command = [sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"]
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
