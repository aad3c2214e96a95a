"""Ids of jobs as clients write them in queries."""

import re

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_id(text: str) -> str | None:
    """The id as it is told everywhere, or None where it is none.

    Python's UUID would take more: digits of other scripts, spaces and underscores among them.
    """
    lowered = text.lower()
    return lowered if _ID.fullmatch(lowered) else None
