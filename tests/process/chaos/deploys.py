"""Deploys that go wrong: the jobs of a type wait until another one fits them again."""

from typing import Final

import msgspec
import trio

from tests.process.chaos.crew import POLL_SECONDS, PROCESSES, Crew
from tests.process.killing.asking import ask, client

_TYPE: Final = "errand"
_HOUR: Final = 3_600.0


async def drop_type(crew: Crew, place: int) -> None:
    """Deploy a version that does not have a job type, and then one that has it again."""
    await _wait_through(crew, place, "without_errands", "no process that is up has a handler for")


async def change_payload(crew: Crew, place: int) -> None:
    """Deploy a version whose type takes another payload, and then one that takes the old one."""
    await _wait_through(crew, place, "with_other_errands", "its payload does not fit")


async def _wait_through(crew: Crew, place: int, registry: str, why: str) -> None:
    """Have a job wait for this reason, while all processes have that registry."""
    job_id = await crew.submit(place, _TYPE, delay_seconds=_HOUR)
    await _deploy(crew, registry)
    async with client(crew.sockets[place]) as http:
        await ask(http, "POST", f"/jobs/{job_id}/run-now")
        while True:
            job = (await ask(http, "GET", f"/jobs/{job_id}")).json()
            assert job["status"] == "pending", job
            if why in job["waits_because"]:
                break
            await trio.sleep(POLL_SECONDS)
    await _deploy(crew, "registry")
    ended = await crew.end_of(place, job_id)
    assert (ended["status"], ended["attempt"]) == ("completed", 1), msgspec.json.encode(ended)


async def _deploy(crew: Crew, registry: str) -> None:
    """Replace one process after the other."""
    for place in range(PROCESSES):
        await crew.stop(place)
        crew.start(place, registry)
