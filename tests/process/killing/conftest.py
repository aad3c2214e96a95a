"""What the tests of ends have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forking import Ancestor
from tests.process.killing.lives import Lives, forked_from


@pytest.fixture
def lives(ancestor: Ancestor, tmp_path: Path) -> Iterator[Lives]:
    """Services on one file; the last is killed at the end of the test."""
    lives = Lives(forked_from(ancestor), tmp_path)
    yield lives
    lives.close()
