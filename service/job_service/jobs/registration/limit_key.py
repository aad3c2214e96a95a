"""Works out the limit key of a job from its payload, for limits that hold per key."""

import inspect
from collections.abc import Callable
from typing import Any, Final

from job_service.errors import InvalidPayload
from job_service.failures.report import describe

MAX_LIMIT_KEY_CHARS: Final = 255

Per = Callable[[Any], str | int]


def check_per(per: object) -> None:
    """Raise TypeError if `per` can't give the key of a payload."""
    if per is None:
        return
    if not callable(per) or inspect.iscoroutinefunction(per):
        raise TypeError(
            f"per must be a plain function of the payload, such as lambda p: p.tenant, not {per!r}"
        )
    try:
        inspect.signature(per).bind(None)
    except TypeError:
        raise TypeError(f"per must take one argument, the payload, not as {per!r} does") from None
    except ValueError:  # one that is written in C may tell nothing of its parameters
        pass


def limit_key_of(per: Per, payload: Any) -> str:
    """The key that `per` gives for this payload. Raises InvalidPayload if that is none."""
    try:
        key = per(payload)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # as from a payload type that checks itself
        raise InvalidPayload(f"its limit key can't be told: {describe(error)}") from error
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise InvalidPayload(
            f"its limit key must be a text or a whole number, not {type(key).__name__}"
        )
    return _as_text(key)


def _as_text(key: str | int) -> str:
    try:
        text = str(key)
        text.encode()
    except ValueError as error:  # a lone surrogate, or a number of thousands of digits
        raise InvalidPayload("its limit key can't be written as text") from error
    if not 1 <= len(text) <= MAX_LIMIT_KEY_CHARS:
        raise InvalidPayload(
            f"its limit key must have 1 to {MAX_LIMIT_KEY_CHARS} characters, not {len(text)}"
        )
    return text
