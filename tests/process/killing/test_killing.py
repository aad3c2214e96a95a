"""Services that are killed or stopped at random moments, and clients who go on as if nothing was.

What clients, handlers, the store and the logs wrote down must agree job by job.
"""

import pytest

from tests.process.killing.agreement import disagreements
from tests.process.killing.books import Books
from tests.process.killing.endings import kill, stop
from tests.process.killing.harness import end_again_and_again
from tests.process.killing.lives import Lives

ENDS = 8
SHORT_GRACE = ("--grace", "0.02")
SEED = 1

# httpx leaves the body of a request that was cut off to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.slow,
]


async def test_kills_lose_nothing(lives: Lives) -> None:
    """No receipt, no end, no key, no tick; and no job runs again that had ended."""
    agree(await end_again_and_again(lives, kill, times=ENDS, seed=SEED))


async def test_stops_leave_nothing_behind(lives: Lives) -> None:
    """With a grace that is too short for what runs: exit status 0, and no job is abandoned."""
    agree(await end_again_and_again(lives, stop, times=ENDS, seed=SEED, options=SHORT_GRACE))


async def test_each_job_completes_in_a_rolling_restart(lives: Lives) -> None:
    """Clients see no more of it than requests that they must send again."""
    books = await end_again_and_again(lives, stop, times=ENDS // 2, seed=SEED, only_good=True)
    agree(books)
    assert {story["status"] for story in books.stories.values()} == {"completed"}


def agree(books: Books) -> None:
    """All that was written down agrees."""
    if faults := disagreements(books):
        pytest.fail(faults, pytrace=False)
