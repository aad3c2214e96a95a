"""Checks the names and the reasons that callers give: who acts, and why."""

from typing import Final

import trio

from job_service.errors import InvalidOption

MAX_NAME_CHARS: Final = 255


async def require_words(by: str | None, reason: str = "requested") -> None:
    """Raise InvalidOption, after a checkpoint, if nobody is called so, or that is no reason."""
    try:
        if by is not None:
            check_name("by", by)
        _check_text("reason", reason)
    except BaseException:
        await trio.lowlevel.checkpoint()
        raise


def check_name(what: str, name: object) -> None:
    """Raise InvalidOption if nothing can be called so."""
    if not (isinstance(name, str) and 1 <= len(name) <= MAX_NAME_CHARS):
        raise InvalidOption(f"{what} must be a text of 1 to {MAX_NAME_CHARS} characters")
    _check_text(what, name)


def check_unicode(what: str, text: object) -> None:
    """Raise InvalidOption if this is no text that can be written."""
    if not isinstance(text, str):
        raise InvalidOption(f"{what} must be a text, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidOption(f"{what} must be Unicode text, without lone surrogates") from error


def _check_text(what: str, text: str) -> None:
    check_unicode(what, text)
    if "\0" in text:  # which PostgreSQL has in no text
        raise InvalidOption(f"{what} must not have the character NUL in it")
