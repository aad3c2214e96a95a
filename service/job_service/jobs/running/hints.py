"""Adds to an error what is the matter and what to do, if its own words leave people puzzled."""

import traceback
from itertools import islice
from typing import Final

from job_service.failures.exception_groups import leaves, traceback_of
from job_service.failures.messages import Messages
from job_service.failures.names import MAX_ERROR_CHARS, shortened

_ASYNCIO_MISSING: Final = (
    "no running event loop",
    "There is no current event loop",
    "trio.run received unrecognized yield message",
)
_ASYNCIO_MISSING_AT_END: Final = "should be used inside a task"
_TRIO_MISSING: Final = (
    "must be called from async context",
    "Task got bad yield: <class 'trio.",
    "'RunContext' object has no attribute",
)
_LEAVES: Final = 50  # of a group that are looked at
_ON_ASYNCIO: Final = (
    " — this is asyncio code, and its loop does not run here: register an async def with "
    'runs_in="asyncio", or use a library for Trio'
)
_ON_TRIO: Final = (
    " — this is Trio code, and Trio does not run here: register an async def without runs_in, "
    "or call it from a thread with trio.from_thread.run"
)


def explain(error: BaseException, text: str) -> str:
    """The text of an error, with a hint if there is one."""
    hint = next(filter(None, map(_hint_for, islice(leaves(error), _LEAVES))), "")
    return shortened(text, MAX_ERROR_CHARS - len(hint)) + hint if hint else text


def _hint_for(error: BaseException) -> str | None:
    """What to do if asyncio or Trio has raised it, because its loop does not run here."""
    kind = type(error)  # no other is raised for this; to ask others what they say may take long
    if not any(kind is each for each in (RuntimeError, TypeError, AttributeError)):
        return None
    said = Messages().of(error).text
    if said.startswith(_TRIO_MISSING):
        return _ON_TRIO
    # Its queues, events and locks just find that the loop is None, each Python in its own words.
    if kind is AttributeError:
        return _ON_ASYNCIO if _comes_out_of_asyncio(error) else None
    is_missing = said.startswith(_ASYNCIO_MISSING) or said.endswith(_ASYNCIO_MISSING_AT_END)
    return _ON_ASYNCIO if is_missing else None


def _comes_out_of_asyncio(error: BaseException) -> bool:
    module: object = None
    for frame, _ in traceback.walk_tb(traceback_of(error)):
        module = frame.f_globals.get("__name__")
    return type(module) is str and module.partition(".")[0] == "asyncio"
