"""An engine on a database, for `bench.postgres_peers`: it begins at a word, with jobs that wait."""

import sys

import trio

from bench.engine import WORKERS
from bench.inprocess import ready_engine
from bench.peers.waiting import until_told
from job_service import Settings
from job_service.jobs.running.worker import job_of_frame
from job_service.telemetry.watchdog import Watchdog


async def main(store: str) -> None:
    """Run jobs, with all telemetry on, until this process is ended."""
    async with ready_engine(workers=WORKERS, retain=Settings.retain, store=store) as ready:
        until_told()
        with Watchdog(
            Settings.stall_threshold,
            warn=ready.log.observe,
            emit=ready.emit,
            job_of_frame=job_of_frame,
        ):
            await ready.engine.run()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
