"""A pooler before the database, such as PgBouncer in transaction mode, and that the URL says so.

Two transactions of one client may then be on two connections of the server. So there is no LISTEN,
no statement that was prepared before, and no setting that outlives its transaction.
"""

from typing import Final

MODES: Final = ("session", "transaction")  # PgBouncer's own words
_PARAMETER: Final = "pool_mode="


def is_pooled(url: str) -> bool:
    """Whether the URL leads to a pooler that gives each transaction a connection."""
    return f"{_PARAMETER}transaction" in _fields(url)


def check_pool_mode(url: str) -> None:
    """Raise ValueError if the URL has a `pool_mode` that is none."""
    modes = [each.removeprefix(_PARAMETER) for each in _fields(url) if each.startswith(_PARAMETER)]
    if any(mode not in MODES for mode in modes) or len(modes) > 1:
        raise ValueError(f"takes one pool_mode in its URL, {' or '.join(MODES)}")


def libpq_url(url: str) -> str:
    """The URL as libpq takes it, which knows nothing of poolers."""
    query = "&".join(each for each in _fields(url) if not each.startswith(_PARAMETER))
    return url.partition("?")[0] + (query and f"?{query}")


def _fields(url: str) -> list[str]:
    return url.partition("?")[2].split("&")
