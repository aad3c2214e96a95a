"""The example `fastapi_inside`: an order is answered at once, and its mail is sent."""

import httpx

from job_service.testing import assert_completed, run_sync
from tests.examples.conftest import Load


async def test_the_app_runs_its_jobs_itself(load: Load) -> None:
    """On Trio, from the start of the app to its end. Who orders twice gets one mail."""
    app = load("fastapi_inside", "orders").app
    order = {"number": 17, "email": "ada@example.com"}
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: dict[str, object], *others: object) -> None:
            await app({**scope, "state": dict(state)}, *others)

        transport = httpx.ASGITransport(app=with_state)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            placed = await client.post("/orders", json=order)
            again = await client.post("/orders", json=order)
            assert placed.status_code == again.status_code == 202
            assert placed.json() == again.json()
            other = await client.post("/orders", json={**order, "email": "bob@example.com"})
            assert other.status_code == 409
            mail = await client.get(placed.json()["mail"])
            assert mail.json() == {"status": "completed", "result": "sent to ada@example.com"}
            assert (await client.get("/mails/nobody")).status_code == 404


def test_the_mail_can_be_tested_alone(load: Load) -> None:
    """As any handler of the example beside it."""
    registry = load("fastapi_beside", "mails").registry
    mail = {"to": "ada@example.com", "subject": "Your order 17"}
    assert_completed(run_sync(registry, "mail", mail), "sent to ada@example.com")
