"""Reads the payload that somebody types, or names a file of."""

import sys
from pathlib import Path

from msgspec import DecodeError, Raw, json

from job_service.errors import InvalidPayload
from job_service.json_text.lone_surrogates import what_is_wrong
from job_service.json_text.nesting import TOO_DEEP, is_too_deep


def read_payload(payload: str) -> Raw:
    """The JSON text itself, or that of a file or of stdin. Raises InvalidPayload."""
    try:
        if payload == "-":
            text = sys.stdin.buffer.read() if sys.stdin is not None else b""  # it was closed
        elif payload.startswith("@"):
            text = Path(payload[1:]).read_bytes()
        else:
            text = payload.encode("utf-8", "surrogateescape")  # as it came from the shell
        if is_too_deep(text):
            raise InvalidPayload(f"the payload can't be taken: {TOO_DEEP}")
        json.decode(text)
    except OSError as error:
        source = "stdin" if payload == "-" else payload[1:] or "@"
        raise InvalidPayload(f"{source}: {error.strerror}") from error
    except (DecodeError, UnicodeError) as error:
        raise InvalidPayload(f"the payload is not JSON: {what_is_wrong(text, error)}") from error
    return Raw(text)
