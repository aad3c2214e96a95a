"""A service as a process, for tests that are not asynchronous: started, asked, and ended."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.forking import POLL_SECONDS, Ancestor, ForkedProcess

START_SECONDS = 20.0
JOBS = (
    "--jobs",
    "job_service.demo.job_types:registry",
    "--jobs",
    "tests.browser.job_types:registry",
)
ROOT = Path(__file__).parents[2]


class Service:
    """One running `job-service`."""

    def __init__(
        self,
        ancestor: Ancestor,
        log_path: Path,
        *options: str,
        port: int = 0,
        jobs: tuple[str, ...] = JOBS,
    ) -> None:
        # Of several tokens the last, without its name and role.
        given = options[options.index("--token") + 1] if "--token" in options else ""
        self._token = given.rpartition(",")[2].rpartition(" ")[2]
        arguments = ["--port", str(port), "--log-format", "json", *jobs, *options]
        self.process = ancestor.start(arguments, "", ROOT, log_path)
        self.url = _read_url(log_path, self.process)
        self.port = int(self.url.rpartition(":")[2])

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        """The JSON that it answers; with a body, or another method, it is a POST."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(self.url + path, data, headers, method=method)  # noqa: S310  # loopback
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def patch(self, path: str, body: object) -> Any:
        """Change what a path has; the JSON that it answers."""
        return self.ask(path, body, "PATCH")

    def submit(self, job_type: str, payload: object = None, **more: object) -> str:
        """Submit a job; gives its id."""
        job_id: str = self.ask("/jobs", {"type": job_type, "payload": payload, **more})["id"]
        return job_id

    def run(self, job_type: str, payload: object = None, **more: object) -> str:
        """Submit a job and wait until it has ended; gives its id."""
        job_id = self.submit(job_type, payload, **more)
        assert "finished_at" in self.ask(f"/jobs/{job_id}?wait=10")
        return job_id

    def signal(self) -> None:
        """The first SIGTERM: it drains."""
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """End it, and wait until it has ended."""
        self.process.kill()
        while self.process.poll() is None:
            time.sleep(POLL_SECONDS)


@contextmanager
def running(
    ancestor: Ancestor,
    log_path: Path,
    *options: str,
    port: int = 0,
    jobs: tuple[str, ...] = JOBS,
) -> Iterator[Service]:
    """A service that is there for a while."""
    service = Service(ancestor, log_path, *options, port=port, jobs=jobs)
    try:
        yield service
    finally:
        service.end()


def _read_url(log_path: Path, process: ForkedProcess) -> str:
    deadline = time.monotonic() + START_SECONDS
    log_path.touch()
    while True:
        for line in log_path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and b'"service_started"' in line:
                url: str = json.loads(line)["url"]
                return url
        assert process.poll() is None, log_path.read_text()
        assert time.monotonic() < deadline, log_path.read_text()
        time.sleep(POLL_SECONDS)
