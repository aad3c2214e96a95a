"""A PostgreSQL server of a benchmark's own, which keeps what it commits, as in production."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.stores.postgres.cluster import Cluster, running_cluster

_SETTINGS: Final = {  # those that tests set for speed alone, as the server has them by itself
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "128MB",
}


@contextmanager
def postgres_server(**settings: str) -> Iterator[Cluster]:
    """The server, which ends with the block; with these settings beside those that it has."""
    with running_cluster(**{**_SETTINGS, **settings}) as cluster:
        yield cluster


def seconds_computed(cluster: Cluster) -> float:
    """The processor time of all processes of the server that still run."""
    return sum(map(_seconds_of, pids_of(cluster)))


def pids_of(cluster: Cluster) -> list[int]:
    """The ids of all processes of the server."""
    postmaster = (cluster.folder / "data" / "postmaster.pid").read_text().splitlines()[0]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [int(postmaster), *map(int, children)]


def _seconds_of(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:  # it has ended since
        return 0.0


@contextmanager
def new_database(cluster: Cluster) -> Iterator[str]:
    """The URL of one that is dropped after the block."""
    url = cluster.new_database()
    try:
        yield url
    finally:
        name = url.partition("@/")[2].partition("?")[0]
        cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
