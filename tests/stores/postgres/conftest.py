"""A server for all tests of a process, and a new database for each test."""

import pytest

from tests.stores.postgres.cluster import Cluster, shared_cluster, why_there_is_none


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """A server that only these tests use."""
    if (why := why_there_is_none()) is not None:
        pytest.skip(why)
    return shared_cluster()


@pytest.fixture
def database(cluster: Cluster) -> str:
    """The URL of a new database, which is empty."""
    return cluster.new_database()
