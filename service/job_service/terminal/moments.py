"""Reads the moments that somebody types."""

from datetime import UTC, datetime

from job_service.errors import InvalidOption


def moment(option: str, text: str) -> datetime:
    """The moment, which is of local time if it has no offset. Raises InvalidOption."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidOption(f"{option} must be such as 2026-12-24T18:00:00Z, not {text}") from error
