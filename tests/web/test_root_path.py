"""A service that a proxy has at a path of its own says where things are as its clients see them."""

from functools import partial

import pytest
import trio

from job_service import Registry, Settings, host
from job_service.client import JobClient
from tests.proxy import proxied

ROOT_PATH = "/team/jobs"


@pytest.fixture
def registry() -> Registry:
    """One job type."""
    registry = Registry()

    @registry.job("echo")
    async def echo(payload: str) -> str:
        return payload

    return registry


def ask_as_a_client(url: str) -> None:
    """Submit jobs, list them page by page, and follow what the headers say."""
    with JobClient(url, patience_seconds=5) as client:
        ended = client.wait(client.submit("echo", "hello").id, 10)
        assert ended.result is not None
        assert bytes(ended.result) == b'"hello"'
        more = [client.submit("echo", "again").id for _ in range(4)]
        assert [job.id for job in client.list_all()] == [ended.id, *more]


@pytest.mark.slow
async def test_clients_are_led_to_where_the_proxy_has_it(registry: Registry) -> None:
    """`Location`, `Link`, the description of the API and the words of a 404 have the path."""
    import httpx

    settings = Settings(port=0, log_file="/dev/null", root_path=ROOT_PATH)
    async with host(registry, settings) as running:
        port = int(running.url.rpartition(":")[2])
        with proxied(ROOT_PATH, port) as url:
            await trio.to_thread.run_sync(partial(ask_as_a_client, url))
            origin = url.removesuffix(ROOT_PATH)
            async with httpx.AsyncClient() as client:
                made = await client.post(f"{url}/jobs", json={"type": "echo", "payload": "x"})
                location = made.headers["Location"]
                assert location == f"{ROOT_PATH}/jobs/{made.json()['id']}"
                assert (await client.get(origin + location)).status_code == 200
                again = await client.post(f"{origin}{location}/retry")
                while again.status_code == 409:
                    again = await client.post(f"{origin}{location}/retry")
                assert again.headers["Location"].startswith(f"{ROOT_PATH}/jobs/")
                page = await client.get(f"{url}/jobs?limit=1")
                assert page.links["next"]["url"].startswith(f"{ROOT_PATH}/jobs?limit=1&cursor=")
                following = await client.get(origin + page.links["next"]["url"])
                assert len(following.json()) == 1
                document = (await client.get(f"{url}/openapi.json")).json()
                assert document["servers"] == [{"url": ROOT_PATH}]
                lost = (await client.get(f"{url}/nowhere")).json()
                assert lost["detail"] == f"there is no such path; see {ROOT_PATH}/docs"
                assert (await client.get(f"{running.url}/health")).status_code == 200
