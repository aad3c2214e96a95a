"""What somebody has typed, as values: a payload, or a moment."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from msgspec import DecodeError, Raw, json

from job_service.errors import InvalidOption, InvalidPayload
from job_service.nesting import TOO_DEEP, is_too_deep


def moment_of(text: str) -> datetime:
    """The moment that `--run-at` names. Raises InvalidOption."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)  # without an offset: of local time
    except (ValueError, OverflowError) as error:
        raise InvalidOption(f"--run-at must be such as 2026-12-24T18:00:00Z, not {text}") from error


def payload_of(payload: str) -> Raw:
    """The JSON text itself, or that of a file or of stdin. Raises InvalidPayload."""
    try:
        if payload == "-":
            text = sys.stdin.buffer.read() if sys.stdin is not None else b""  # it was closed
        elif payload.startswith("@"):
            text = Path(payload[1:]).read_bytes()
        else:
            text = payload.encode()
        if is_too_deep(text):
            raise InvalidPayload(f"the payload can't be taken: {TOO_DEEP}")
        json.decode(text)
    except OSError as error:
        source = "stdin" if payload == "-" else payload[1:] or "@"
        raise InvalidPayload(f"{source}: {error.strerror}") from error
    except (DecodeError, UnicodeError) as error:
        raise InvalidPayload(f"the payload is no JSON: {error}") from error
    return Raw(text)
