"""Refuses a date that could be one of any time zone."""

from datetime import datetime


def require_zone(name: str, moment: datetime) -> None:
    """Raise ValueError, which names the parameter, if the date has no time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{name} must be a date with a time zone, such as UTC")
