"""How many connections there can be before jobs have no files left to open."""

import resource

MAX_RESERVE = 256


def reserve() -> int:
    """The descriptors that connections must leave: MAX_RESERVE, or a quarter of a lower limit."""
    return min(MAX_RESERVE, _limit() // 4)


def leaves_reserve(descriptor: int) -> bool:
    """Whether the reserve is still free if a connection has this descriptor.

    The kernel gives out the lowest free number, so all below are in use.
    """
    return descriptor < _limit() - reserve()


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft
