"""What becomes of a job, from its submission to its end."""

from collections.abc import Callable

import trio

from service.jobs.registry import Registry
from tests.conftest import Rig

MakeRig = Callable[..., Rig]


async def test_a_job_runs_and_its_result_is_kept(registry: Registry, make_rig: MakeRig) -> None:
    """A submitted job is run by a worker, and its story tells the result."""

    @registry.job("double")
    async def double(number: int) -> int:
        return 2 * number

    rig = make_rig()
    await rig.start()
    job = await rig.queue.submit("double", 21)
    await trio.testing.wait_all_tasks_blocked()

    story = await rig.queue.get(job.id)
    assert story.status == "completed"
    assert story.result is not None
    assert bytes(story.result) == b"42"
    assert rig.record.names(job.id) == [
        "job_created",
        "job_enqueued",
        "job_started",
        "job_completed",
    ]
    rig.engine.drain(1)
