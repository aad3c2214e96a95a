"""Writes what a handler returned as the JSON text that is kept with its job."""

import msgspec

from job_service.failures.names import encodable
from job_service.jobs.registration.pydantic_models import written_by_pydantic
from job_service.json_text.nesting import TOO_DEEP, is_too_deep

_SCALARS = (bool, int, float, str)
_NAMES = {None: "null", True: "true", False: "false"}


class Unwritable(msgspec.Struct, frozen=True):
    """In the place of a result that another process could not write: why not."""

    reason: str


def encode_result(result: object) -> bytes:
    """The result as JSON text in UTF-8, which any reader of JSON can read.

    It may be whatever msgspec writes, pydantic, or the standard library's json. But nan and the
    infinities become null, and half a surrogate pair is spelled out, as in a log line.

    Raises an error that says what JSON can't carry.
    """
    if result is None:  # as of most handlers
        return b"null"
    if isinstance(result, Unwritable):
        raise TypeError(result.reason)
    try:
        text = _encode(result)
    except RecursionError as error:  # such as a list that holds itself
        raise ValueError(TOO_DEEP) from error
    if type(result) in _SCALARS:
        return text
    if is_too_deep(text):
        raise ValueError(TOO_DEEP)
    text.decode()  # a Raw, there or inside, may hold anything
    msgspec.json.decode(text, type=msgspec.Raw)
    return text


def _encode(result: object) -> bytes:
    try:
        return msgspec.json.encode(result, enc_hook=_plain_scalar)
    except UnicodeEncodeError:
        return msgspec.json.encode(_spell_out(result), enc_hook=_plain_scalar)


def _plain_scalar(value: object) -> object:
    """Called by msgspec with what it does not write itself, as a value or as a key."""
    if value is None or isinstance(value, bool):  # which it does not take as a key
        return _NAMES[value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return written_by_pydantic(value)


def _spell_out(value: object) -> object:
    """The same value with texts that UTF-8 can carry."""
    match value:
        case dict():
            return {_spell_out(key): _spell_out(item) for key, item in value.items()}
        case list() | tuple():
            return [_spell_out(item) for item in value]
        case str():
            return encodable(str.__str__(value))
        case None | int() | float():
            return value
    return _spell_out(msgspec.to_builtins(value, enc_hook=_plain_scalar))
