"""The FastAPI apps of the peers, with the worker and the Redis that they need."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.loopback import STOP_SECONDS, free_port, running
from bench.peers.environments import python_of
from bench.peers.redis_server import redis_server

BROKERS = {
    "saq": ["saq", "bench.peers.fastapi_saq.settings"],
    "arq": ["arq", "bench.peers.fastapi_arq.WorkerSettings"],
    "streaq": ["streaq", "run", "bench.peers.fastapi_streaq:worker"],
}


@contextmanager
def fastapi_background(folder: Path) -> Iterator[int]:
    """The app that runs its jobs itself, by its port; it writes its log to the folder."""
    port = free_port()
    with running(_uvicorn("fastapi", "fastapi_background", port), port, folder / "app.log"):
        yield port


@contextmanager
def fastapi_with_broker(broker: str, folder: Path) -> Iterator[int]:
    """The app whose jobs go through Redis to a worker process, by its port."""
    port = free_port()
    with ExitStack() as stack:
        environment = ["env", f"BENCH_REDIS_URL={stack.enter_context(redis_server())}"]
        worker = [*environment, python_of(broker), "-m", *BROKERS[broker]]
        stack.enter_context(_working(worker, folder / "worker.log"))
        app = [*environment, *_uvicorn(broker, f"fastapi_{broker}", port)]
        stack.enter_context(running(app, port, folder / "app.log"))
        yield port


@contextmanager
def _working(command: list[str], output: Path) -> Iterator[None]:
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=STOP_SECONDS)


def _uvicorn(environment: str, module: str, port: int) -> list[str]:
    app = f"bench.peers.{module}:app"
    command = [python_of(environment), "-m", "uvicorn", app, "--port", str(port)]
    return [*command, "--log-level", "error", "--no-access-log"]
