"""Three processes on one database: whatever fails, nothing is lost, and no hand is needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forking import Ancestor
from tests.process.chaos.faults import SHORT
from tests.process.chaos.harness import go_through
from tests.process.killing.agreement import disagreements
from tests.process.killing.lives import forked_from
from tests.stores.postgres.cluster import Cluster, running_cluster, why_there_is_none

# httpx leaves the body of a request that was cut off to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.slow,
]


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server that this test may stop."""
    if (why := why_there_is_none()) is not None:
        pytest.skip(why)
    with running_cluster() as cluster:
        yield cluster


async def test_faults_lose_nothing(
    ancestor: Ancestor, tmp_path: Path, own_cluster: Cluster
) -> None:
    """A process is killed, one is away for longer than its lease, and the server crashes.

    No receipt is without a job, no job ends twice, and what a process says too late is refused.
    """
    recoveries, books = await go_through(
        SHORT, forked_from(ancestor), tmp_path, own_cluster, seed=1, clients=2
    )
    if faults := disagreements(books):
        pytest.fail(faults, pytrace=False)
    assert [recovery.fault for recovery in recoveries] == [fault.__name__ for fault in SHORT]
