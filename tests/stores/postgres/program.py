"""A service to be killed: `python -m tests.stores.postgres.program URL LEASE_SECONDS LEDGER`.

It prints each of its events as a line, and its jobs write into the ledger that they ran.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from job_service.jobs.registration.registry import Registry
from job_service.telemetry.events import Event
from tests.stores.postgres.service import Service


def registry_of(ledger: Path) -> Registry:
    """Jobs that take their time, that kill their process, and that block the loop."""
    registry = Registry()

    def write(text: str) -> None:
        with ledger.open("a") as file:
            file.write(f"{text}\n")

    @registry.job("slow")
    async def slow(work: tuple[str, float]) -> None:
        name, seconds = work
        write(f"began {name}")
        await trio.sleep(seconds)
        write(f"ended {name}")

    @registry.job("killer")
    async def killer() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @registry.job("blocker")
    async def blocker(seconds: float) -> None:
        write("blocks")
        time.sleep(seconds)  # noqa: ASYNC251 - it is what it is for
        write("blocks no more")

    return registry


def printing(say: Callable[[str], None]) -> Callable[[Event], None]:
    """An observer that says each event as a line of JSON."""
    return lambda event: say(msgspec.json.encode(event).decode())


def main() -> None:
    """Run until killed."""
    url, seconds, ledger = sys.argv[1:]
    service = Service(
        url,
        registry_of(Path(ledger)),
        lease_seconds=float(seconds),
        observer=printing(lambda line: print(line, flush=True)),  # noqa: T201
    )

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)

    trio.run(run)


if __name__ == "__main__":
    main()
