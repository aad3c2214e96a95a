"""Gives a text stream that has no descriptor one: a pipe, and a thread that reads it."""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TextIO

import trio

_CLOSE_SECONDS: Final = 1.0


@asynccontextmanager
async def open_pipe_to(stream: TextIO) -> AsyncIterator[int]:
    """A descriptor from which lines go to `stream`, that of a notebook, say, or of a test.

    Whoever gets it has to close it. At the block's end all lines are in the stream, or it has not
    taken them for a second. Where it raises, writing to the descriptor fails from then on.
    """
    reading, writing = os.pipe()
    thread = threading.Thread(target=_carry, args=(reading, stream), name="log-pipe", daemon=True)
    thread.start()
    try:
        yield writing
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(
                thread.join, _CLOSE_SECONDS, limiter=trio.CapacityLimiter(1)
            )


def _carry(reading: int, stream: TextIO) -> None:
    with open(reading, encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            try:
                stream.write(line)
                stream.flush()
            except Exception:
                return  # the writer learns of it by its broken pipe, and counts what is lost
