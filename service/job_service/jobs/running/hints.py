"""Adds to an error what is the matter and what to do, if its own words leave people puzzled."""

import traceback
from itertools import islice
from typing import Final

from job_service.failures.groups import leaves, traceback_of
from job_service.failures.messages import Messages
from job_service.failures.names import MAX_ERROR_CHARS, shortened

_BEGINNINGS: Final = (
    "no running event loop",
    "There is no current event loop",
    "trio.run received unrecognized yield message",
)
_END: Final = "should be used inside a task"
_LEAVES: Final = 50  # of a group that are looked at
_ON_ASYNCIO: Final = (
    " — this is asyncio code, and its loop does not run here: register an async def with "
    'runs_in="asyncio", or use a library for Trio'
)


def explain(error: BaseException, text: str) -> str:
    """The text of an error, with a hint if there is one."""
    if any(map(_misses_asyncio, islice(leaves(error), _LEAVES))):
        return shortened(text, MAX_ERROR_CHARS - len(_ON_ASYNCIO)) + _ON_ASYNCIO
    return text


def _misses_asyncio(error: BaseException) -> bool:
    """Whether asyncio, or Trio, has raised it because asyncio's loop does not run here."""
    kind = type(error)  # no other is raised for this; to ask others what they say may take long
    if kind is RuntimeError or kind is TypeError:
        said = Messages().of(error).text
        return said.startswith(_BEGINNINGS) or said.endswith(_END)
    # Its queues, events and locks just find that the loop is None, each Python in its own words.
    return kind is AttributeError and _comes_out_of_asyncio(error)


def _comes_out_of_asyncio(error: BaseException) -> bool:
    module: object = None
    for frame, _ in traceback.walk_tb(traceback_of(error)):
        module = frame.f_globals.get("__name__")
    return type(module) is str and module.partition(".")[0] == "asyncio"
