"""`job-service demo` as a newcomer starts it."""

import pytest

from tests.process.conftest import Start


@pytest.mark.slow
async def test_one_word_starts_a_service_that_keeps_itself_busy(start: Start) -> None:
    """Jobs are submitted, run and logged without anybody asking; a signal ends it as any other."""
    service = await start("--grace", "0", "demo", program=True)
    await service.line("job_completed", 3)
    async with service.client() as client:
        metrics = (await client.get("/metrics")).json()
        types = {view["type"] for view in (await client.get("/types")).json()}
    service.signal()
    await service.exit_status()

    assert metrics["jobs_completed"] >= 3
    assert {"charge_card", "send_email", "report"} <= types
    stopped = service.lines()[-1]
    assert stopped["event"] == "service_stopped"
    ended = ("completed", "failed", "cancelled", "abandoned")
    assert stopped["jobs_created"] == sum(stopped[f"jobs_{how}"] for how in ended)
