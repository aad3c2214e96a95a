"""What the tests of the log share: a pipe for it to go through."""

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.telemetry.streams import Pipe


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that nobody reads yet."""
    pipe = Pipe()
    yield pipe
    for fd in (pipe.reading, pipe.writing):
        with suppress(OSError):
            os.close(fd)
