"""`kill -9` at random moments under load: all who wrote something down agree in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.forking import Ancestor
from tests.process.killing.agreement import disagreements
from tests.process.killing.harness import end_again_and_again
from tests.process.killing.lives import Lives, forked_from

KILLS = 8

# httpx leaves the body of a request that was cut off to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def lives(ancestor: Ancestor, tmp_path: Path) -> Iterator[Lives]:
    """Services on one file; the last is killed at the end of the test."""
    lives = Lives(forked_from(ancestor), tmp_path)
    yield lives
    lives.close()


async def test_kills_lose_nothing(lives: Lives) -> None:
    """No receipt, no end, no key, no tick; no job runs again that had ended."""
    books = await end_again_and_again(lives, times=KILLS, seed=1)
    if faults := disagreements(books):
        pytest.fail(faults, pytrace=False)
