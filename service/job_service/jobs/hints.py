"""Adds to an error what is the matter and what to do, where its own words leave people puzzled."""

from typing import Final

from job_service.errors.failure import MAX_ERROR_CHARS, describe, shortened

_SIGNS_OF_ASYNCIO: Final = (
    "no running event loop",
    "There is no current event loop",
    "trio.run received unrecognized yield message",
    "should be used inside a task",
)
_ON_ASYNCIO: Final = (
    " — this is asyncio code, and handlers run on Trio: call it with asyncio.run(…) in a plain"
    " def handler, or use a library for Trio"
)


def explain(error: BaseException) -> str:
    """As `describe`, with a hint where there is one."""
    text = describe(error)
    if any(sign in text for sign in _SIGNS_OF_ASYNCIO):
        return shortened(text, MAX_ERROR_CHARS - len(_ON_ASYNCIO)) + _ON_ASYNCIO
    return text
