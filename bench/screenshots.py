"""`python -m bench.screenshots` makes pictures of the dashboard of a lively service."""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from bench.browser import chromium, opened, post
from bench.lively import waves
from bench.loopback import free_port, running

FOLDER = Path(__file__).with_name("screenshots")
DESKTOP = {"width": 1360, "height": 1120}
PHONE = {"width": 390, "height": 844}
PAUSED_SECONDS = 3
SECONDS = 55  # which fill the first minute of the charts
JOB_SECONDS = 9  # into the second attempt of the job that is shown


def main() -> None:
    """Light, dark, on a phone, and the page of one job."""
    FOLDER.mkdir(exist_ok=True)
    with lively_service() as url, chromium() as browser:
        desktop = opened(browser, url, viewport=DESKTOP)
        phone = opened(browser, url, viewport=PHONE, is_mobile=True, device_scale_factor=2)
        post(f"{url}/queue/pause?type=count_words", "", "")
        time.sleep(PAUSED_SECONDS)
        post(f"{url}/queue/resume?type=count_words", "", "")
        time.sleep(SECONDS - PAUSED_SECONDS)
        job = submit(url, {"type": "import_rows", "payload": {"source": "crm", "rows": 1200}})
        time.sleep(1.1)
        desktop.mouse.move(0, 0)
        take(desktop, "light")
        desktop.emulate_media(color_scheme="dark")
        take(desktop, "dark")
        take(phone, "phone")
        desktop.emulate_media(color_scheme="light")
        desktop.set_viewport_size({"width": DESKTOP["width"], "height": 900})
        desktop.goto(f"{url}/#/jobs/{job}")
        time.sleep(JOB_SECONDS)
        take(desktop, "job")


def take(page: Page, name: str) -> None:
    """Keep what the page shows now."""
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def submit(url: str, job: dict[str, Any]) -> str:
    """Submit a job; gives its id."""
    job_id: str = post(f"{url}/jobs", json.dumps(job), "application/json")["id"]
    return job_id


@contextmanager
def lively_service() -> Iterator[str]:
    """The URL of a service with work that comes in waves."""
    port, over = free_port(), threading.Event()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "job_service", "--port", str(port), "--log-format", "json"),
        *("--workers", "12", "--grace", "0"),
        *("--jobs", "job_service.demo.job_types:registry", "--jobs", "bench.lively:registry"),
    ]

    def submit_waves() -> None:
        for jobs in waves():
            lines = "\n".join(json.dumps(job) for job in jobs)
            post(f"{url}/jobs/batch", lines, "application/x-ndjson")
            if over.wait(0.5):
                return

    with tempfile.TemporaryDirectory() as folder, running(command, port, Path(folder) / "log"):
        submitting = threading.Thread(target=submit_waves)
        submitting.start()
        try:
            yield url
        finally:
            over.set()
            submitting.join()


if __name__ == "__main__":
    main()
