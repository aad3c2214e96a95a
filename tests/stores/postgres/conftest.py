"""A server for all tests of a process, and a new database for each test."""

from collections.abc import Iterator

import pytest

from tests.stores.postgres.cluster import Cluster, running_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A server that only these tests use."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def database(cluster: Cluster) -> str:
    """The URL of a new database, which is empty."""
    return cluster.new_database()
