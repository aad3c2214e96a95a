"""Reads what a call of a logger gave as its `exc_info`, which may be anything."""

import sys

from job_service.failures.exception_groups import is_a


def error_of(exc_info: object) -> BaseException | None:
    """The error to log: `exc_info` itself, the one in its tuple, or the one being handled now.

    There is none if `exc_info` is None or False, or a tuple without an error in its second place.
    """
    if type(exc_info) is tuple:  # as sys.exc_info() gives it
        exc_info = exc_info[1] if len(exc_info) > 1 else None
        return exc_info if is_a(exc_info, BaseException) else None
    if is_a(exc_info, BaseException):  # the truth of an error may raise
        return exc_info
    return None if exc_info is None or exc_info is False else sys.exception()
