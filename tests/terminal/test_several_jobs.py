"""What commands about several jobs say if not all goes well."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from job_service.client import JobClient
from tests.terminal.conftest import Give, served


class LosesFirstAnswer(BaseHTTPRequestHandler):
    """Of each call: it hangs up on the first request, and answers the second."""

    asked: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        """What is left to do the second time."""
        if self.path not in self.asked:
            self.asked.add(self.path)
            return
        body = b'{"cancelled": 1, "interrupted": 0, "made_ready": 2, "retried": 3}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


def test_a_count_that_may_be_too_low_is_told_as_that(give: Give) -> None:
    """What the request did whose answer was lost, nobody knows."""
    with HTTPServer(("127.0.0.1", 0), LosesFirstAnswer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            said = give("cancel", "--type", "echo", "--url", url)
            assert said.out == "at least 1 cancelled, 0 being interrupted\n"
            twice = "job-service: a part was asked for twice, and what the first request did"
            assert said.err == f"{twice} is not counted\n"
            assert give("retry", "--type", "echo", "--url", url).out == "at least 3 run again\n"
            said = give("run-now", "--type", "echo", "--url", url, "--json")
            assert (said.out, said.err) == ('{"made_ready":2}\n', f"{twice} is not counted\n")
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("cancel", "is already cancelled"),
        ("run-now", "is already cancelled"),
        ("retry", "is still pending"),
    ],
)
def test_if_a_job_is_refused_the_others_go_on(
    give: Give, client: JobClient, command: str, refusal: str
) -> None:
    """Each refusal is told, and the exit status says at the end that there was one."""
    jobs = [client.submit("echo", delay_seconds=600) for _ in range(4)]
    stays, *rest = jobs
    for job in rest if command == "retry" else [stays]:
        client.cancel(job.id)
    said = give(command, rest[0].id, stays.id, "nobody", rest[1].id, stays.id, rest[2].id)
    assert len(said.out.splitlines()) == 3
    assert said.err.splitlines() == [
        f"job-service: job {stays.id} {refusal}",
        "job-service: no job has 'nobody' in its id",
        f"job-service: job {stays.id} {refusal}",
    ]
    assert said.status == 1


def test_what_holds_for_all_jobs_is_told_once(give: Give, tmp_path: Path) -> None:
    """And which of them were not tried."""
    settings = {"log_file": str(tmp_path / "log"), "queue_capacity": 1}
    with served(port=0, **settings) as url, JobClient(url) as client:
        client.pause()
        ids = []
        for number in range(3):
            ids.append(client.submit("echo", number).id)
            client.cancel(ids[-1])
        said = give("retry", *ids, "--url", url)
        assert (said.status, len(said.out.splitlines())) == (1, 1)
        assert said.err.splitlines() == [
            f"job-service: not tried: {ids[2]}",
            "job-service: the queue is full: 1 of 1 places taken",
        ]
