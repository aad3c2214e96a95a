"""Checks the numbers that programs set, so that a bad one fails where it is written."""

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is an int or a float, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def require_number(name: str, value: object, low: float, high: float) -> None:
    """Raise TypeError if `value` is no int or float, ValueError if it is out of its range."""
    if not is_number(value):
        raise TypeError(f"{name} must be a number, not {value!r}")
    _require_range(name, value, low, high)


def require_integer(name: str, value: object, low: int, high: float = math.inf) -> None:
    """Raise TypeError if `value` is no int, ValueError if it is out of its range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    _require_range(name, value, low, high)


def require_seconds(name: str, value: object, high: float) -> None:
    """Raise TypeError if `value` is no int or float, ValueError if not above 0 and up to `high`."""
    if not is_number(value):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not 0 < value <= high:
        raise ValueError(f"{name} must be above 0, up to {high}, not {value}")


def _require_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # nan is out of every range
        wanted = f"{low} or more" if high == math.inf else f"between {low} and {high}"
        raise ValueError(f"{name} must be {wanted}, not {value}")
