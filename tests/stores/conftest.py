"""The stores that must keep the promises of the contract, each opened anew for each test."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
import trio

from job_service.jobs.state.clock import Clock
from job_service.stores.contract import Store
from job_service.stores.memory import MemoryStore
from job_service.stores.postgres.store import PostgresStore
from job_service.stores.sqlite.store import SqliteStore
from job_service.telemetry.events import Event
from tests.stores.postgres.cluster import TEMPLATE, shared_cluster, why_there_is_none
from tests.stores.workshop import MakeWorkshop, OpenStore, Workshop

MEGABYTE: Final = 1_000_000


@asynccontextmanager
async def open_memory_store(
    emit: Callable[[Event], None],
    clock: Clock,
    *,
    capacity: int,
    capacity_bytes: int,
    retain: int,
    retain_bytes: int,
) -> AsyncIterator[Store]:
    """The store in memory, which has nothing to open."""
    yield MemoryStore(
        emit,
        clock,
        capacity=capacity,
        capacity_bytes=capacity_bytes,
        retain=retain,
        retain_bytes=retain_bytes,
    )


@asynccontextmanager
async def open_sqlite_store(
    emit: Callable[[Event], None],
    clock: Clock,
    *,
    capacity: int,
    capacity_bytes: int,
    retain: int,
    retain_bytes: int,
) -> AsyncIterator[Store]:
    """The store in a new file."""
    with TemporaryDirectory() as folder:
        store = SqliteStore(
            Path(folder) / "jobs.db",
            emit,
            clock,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=retain,
        )
        async with store.opened():
            yield store


@asynccontextmanager
async def open_postgres_store(
    emit: Callable[[Event], None],
    clock: Clock,
    *,
    capacity: int,
    capacity_bytes: int,
    retain: int,
    retain_bytes: int,
) -> AsyncIterator[Store]:
    """The store in a new database, of which this is the only process: it keeps what it has."""
    store = PostgresStore(
        shared_cluster().new_database(TEMPLATE),
        emit,
        clock,
        capacity=capacity,
        capacity_bytes=capacity_bytes,
        retain=retain,
        stays_seconds=math.inf,
    )
    async with store.opened():
        yield store


STORES: Final[dict[str, OpenStore]] = {
    "memory": open_memory_store,
    "sqlite": open_sqlite_store,
    "postgres": open_postgres_store,
}
EACH_STORE: Final = [
    pytest.param(
        kind,
        marks=pytest.mark.skipif(
            kind == "postgres" and why_there_is_none() is not None,
            reason=why_there_is_none() or "",
        ),
    )
    for kind in STORES
]
KEEP_NOTHING: Final = {"memory"}  # the jobs of these end with the process


@asynccontextmanager
async def opened(
    open_store: OpenStore,
    *,
    capacity: int = 100,
    capacity_bytes: int = MEGABYTE,
    retain: int = 100,
    retain_bytes: int = MEGABYTE,
    attached: bool = True,
) -> AsyncIterator[Workshop]:
    """A workshop on an empty store, which it is the runner of."""
    workshop = Workshop()
    async with open_store(
        workshop.hear,
        workshop.clock,
        capacity=capacity,
        capacity_bytes=capacity_bytes,
        retain=retain,
        retain_bytes=retain_bytes,
    ) as workshop.store:
        if attached:
            workshop.store.attach(workshop)
            await workshop.store.recover()
        yield workshop


# For what is promised of jobs in memory only.
in_memory_only = pytest.mark.parametrize(
    "open_store", [STORES[kind] for kind in sorted(KEEP_NOTHING)], ids=sorted(KEEP_NOTHING)
)

# For what is promised of jobs that wait in one process, and not where all others can take them.
held_by_one_process = pytest.mark.parametrize(
    "open_store", [STORES[kind] for kind in ("memory", "sqlite")], ids=["memory", "sqlite"]
)


@pytest.fixture(params=EACH_STORE)
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """How a store of this kind is opened."""
    return STORES[request.param]


@pytest.fixture
async def make_workshop(open_store: OpenStore) -> AsyncIterator[MakeWorkshop]:
    """Opens a workshop on a new store; keyword arguments are those of `opened`."""
    async with trio.open_nursery() as nursery:

        async def keep_open(
            options: dict[str, Any], task_status: trio.TaskStatus[Workshop]
        ) -> None:
            async with opened(open_store, **options) as workshop:
                task_status.started(workshop)
                await trio.sleep_forever()

        async def make(**options: Any) -> Workshop:
            workshop: Workshop = await nursery.start(keep_open, options)
            return workshop

        yield make
        nursery.cancel_scope.cancel()


@pytest.fixture
async def shop(make_workshop: MakeWorkshop) -> AsyncIterator[Workshop]:
    """A workshop with room for a hundred jobs, which are checked when the test is over."""
    workshop = await make_workshop()
    yield workshop
    await workshop.check()
