"""Makes the store that the settings name."""

from collections.abc import Callable

from job_service.settings import Settings
from job_service.stores.contract import Store
from job_service.stores.location import MemoryLocation, PostgresLocation, parse_store
from job_service.stores.memory import MemoryStore
from job_service.telemetry.events import Event


def make_store(settings: Settings, emit: Callable[[Event], None]) -> Store:
    """A store that is still to be opened."""
    location = parse_store(settings.store)
    if isinstance(location, MemoryLocation):
        return MemoryStore(
            emit,
            capacity=settings.queue_capacity,
            capacity_bytes=settings.queue_bytes,
            retain=settings.retain,
            retain_bytes=settings.retain_bytes,
        )
    if isinstance(location, PostgresLocation):
        from job_service.stores.postgres.store import PostgresStore

        return PostgresStore(
            location.url,
            emit,
            capacity=settings.queue_capacity,
            capacity_bytes=settings.queue_bytes,
            retain=settings.retain,
            retain_seconds=settings.retain_seconds,
            max_losses=settings.max_losses,
            lease_seconds=settings.lease_seconds,
        )
    from job_service.stores.sqlite.store import SqliteStore  # which a start in memory can spare

    return SqliteStore(
        location.path,
        emit,
        capacity=settings.queue_capacity,
        capacity_bytes=settings.queue_bytes,
        retain=settings.retain,
        retain_seconds=settings.retain_seconds,
        max_losses=settings.max_losses,
    )
