"""The FastAPI examples while the service can't take or tell of a job."""

from typing import Any

import httpx
import pytest

from job_service import QueueClosed, QueueFull, StoreUnavailable, TryAgainLater, Unreachable
from tests.examples.conftest import Load


class Away:
    """A queue or a client that can't do anything now."""

    def __init__(self, error: TryAgainLater) -> None:
        self._error = error

    async def submit(self, *_: object, **__: object) -> None:
        """Not now."""
        raise self._error

    wait = submit


@pytest.mark.parametrize("kind", [QueueFull, QueueClosed, StoreUnavailable, Unreachable])
@pytest.mark.parametrize("example", ["fastapi_beside", "fastapi_inside"])
async def test_a_customer_is_told_to_come_back(
    load: Load, example: str, kind: type[TryAgainLater]
) -> None:
    """Whatever the reason is; a restart of the service has several."""
    app = load(example, "orders").app
    away = Away(kind("no luck"))

    async def with_state(scope: dict[str, Any], *others: object) -> None:
        await app({**scope, "state": {"jobs": away, "queue": away}}, *others)

    transport = httpx.ASGITransport(app=with_state)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        order = {"number": 17, "email": "ada@example.com"}
        for answer in (await client.post("/orders", json=order), await client.get("/mails/1")):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert answer.json() == {"detail": "no luck"}
