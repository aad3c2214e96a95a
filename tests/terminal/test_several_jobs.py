"""What commands about several jobs say if not all goes well."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

from tests.terminal.conftest import Give


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
