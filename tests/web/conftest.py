"""The HTTP API of a test: its routes asked in-process, or served on a loopback socket."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from hypercorn.typing import ASGIFramework

from job_service.jobs.registration.registry import Registry
from job_service.web.edge import server as server_module
from job_service.web.edge.listeners import listen_on_port
from job_service.web.edge.server import Server
from tests.conftest import Record, Rig
from tests.web.api import Api, job_types
from tests.web.wire import Served

MakeApi = Callable[..., Api]
Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
def registry() -> Registry:
    """The job types of the tests."""
    return job_types()


@pytest.fixture
def make_api(make_rig: Callable[..., Rig]) -> MakeApi:
    """Builds the API on an engine that does not run yet; keyword arguments are the engine's."""
    return lambda access=None, **options: Api(make_rig(**options), access)


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """The API on an engine that does not run yet."""
    return make_api()


@pytest.fixture
async def running_api(api: Api) -> Api:
    """The API on a running engine."""
    await api.rig.start()
    return api


@pytest.fixture
def serve(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serves an app on a loopback socket until the test ends; options are the server's own."""
    monkeypatch.setattr(server_module, "LOOK_SECONDS", 0.02)

    async def start(app: ASGIFramework, **options: Any) -> Served:
        listeners = await listen_on_port("127.0.0.1", 0)
        record = Record()
        server = Server(app, record.observe, **({"max_connections": 100} | options))
        await nursery.start(partial(server.serve, listeners))
        return Served(server, record, listeners[0].socket.getsockname()[1])

    return start
