"""Work to look at: a job type that tells its progress, and submissions that come in waves."""

import random
from collections.abc import Iterator
from typing import Any

import trio
from msgspec import Struct

from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.registry import Registry

registry = Registry()


class Rows(Struct, forbid_unknown_fields=True):
    """Where the rows come from, and how many there are."""

    source: str
    rows: int


@registry.job("import_rows")
async def import_rows(payload: Rows, job: JobContext) -> dict[str, int]:
    """Import rows; the first attempt loses its connection."""
    for done in range(0, payload.rows, 20):
        job.progress(done, payload.rows, f"reading {payload.source}")
        if job.attempt == 1 and done > payload.rows / 4:
            raise ConnectionError(f"{payload.source}: the server closed the connection")
        await trio.sleep(0.2)
    return {"imported": payload.rows}


def waves(seed: int = 1) -> Iterator[list[dict[str, Any]]]:
    """The submissions of each half second, without end; every now and then there are many."""
    random_source = random.Random(seed)
    half_seconds = 0
    while True:
        half_seconds += 1
        crest = (half_seconds + 18) % 36 < 4
        yield [_one(random_source, crest) for _ in range(random_source.randint(4, 9))] + [
            _one(random_source, crest) for _ in range(30 * crest)
        ]


def _one(random_source: random.Random, crest: bool) -> dict[str, Any]:
    dice = random_source.random()
    if crest and dice < 0.6:
        return {"type": "sleep", "payload": {"seconds": round(random_source.uniform(0.5, 1.5), 2)}}
    if dice < 0.4:
        return {"type": "echo", "payload": {"n": random_source.randint(1, 1_000)}}
    if dice < 0.7:
        seconds = round(random_source.uniform(0.05, 0.8), 2)
        return {"type": "sleep", "payload": {"seconds": seconds}}
    if dice < 0.83:
        return {"type": "count_words", "payload": {"text": "the more the merrier"}}
    if dice < 0.96:
        return {"type": "flaky", "payload": {"failures": random_source.choice([1, 1, 2])}}
    return {"type": "fail", "max_retries": random_source.choice([0, 1])}
