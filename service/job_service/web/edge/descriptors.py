"""How many connections there can be before jobs have no files left to open."""

import resource

MAX_RESERVE = 256


def reserve() -> int:
    """The descriptors that connections must leave: MAX_RESERVE, or a quarter of a lower limit."""
    return min(MAX_RESERVE, _limit() // 4)


def leaves_reserve(descriptor: int) -> bool:
    """Whether a connection with this descriptor leaves the reserve to jobs.

    The kernel gives out the lowest number that is free, so all below are in use.
    """
    return descriptor < _limit() - reserve()


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft
