"""Gives a descriptor to a text stream that has none: a pipe, and a thread that reads it."""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TextIO

import trio

_CLOSE_SECONDS: Final = 1.0


@asynccontextmanager
async def open_pipe_to(stream: TextIO) -> AsyncIterator[int]:
    """A descriptor whose lines go to `stream`: that of a notebook, say, or of a test.

    Whoever gets the descriptor has to close it. The block's end waits, for a second at most, until
    all lines are in the stream. If the stream raises, writing to the descriptor fails from then on.
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
                if hasattr(stream, "flush"):  # `print` takes one that has `write` alone, too
                    stream.flush()
            except Exception:
                return  # the pipe is broken then: its writer sees that, and counts what is lost
