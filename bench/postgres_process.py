"""An engine on a database, for `bench.postgres`: it submits jobs by batches, and runs any."""

import itertools
import sys
import time

import trio

from bench.inprocess import IN_ONE_GO, running_engine


async def main(store: str, jobs: int, retain: int) -> None:
    """Say when it is ready, begin at a word, and tell at the next what its loop has computed."""
    async with running_engine(store=store, retain=retain) as engine:
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        start = time.thread_time()
        draft = engine.queue.check("noop")
        for _ in range(jobs // IN_ONE_GO):
            await engine.queue.submit_all(itertools.repeat(draft, IN_ONE_GO))
        print("submitted", flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        print(time.thread_time() - start, flush=True)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
