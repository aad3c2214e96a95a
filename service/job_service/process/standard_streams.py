"""Copes with standard streams that are closed, full, or read by nobody."""

import os
import select
import sys

_STDERR = 2
_PATIENCE_SECONDS = 1.0


def fill_in_closed_streams() -> None:
    """Open /dev/null for each closed standard stream, or the next socket would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is None:  # `sys.stdout` may stay None: then there is no place for the log
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # it stays open


def print_error(message: str) -> None:
    """Print the message on stderr as one line, unless nobody reads it.

    Control characters and invisible ones are escaped: anybody may have written a part of it.
    """
    one_line = " ".join(f"job-service: {message}".splitlines())
    shown = "".join(map(_shown, one_line))
    try:
        if select.select([], [_STDERR], [], _PATIENCE_SECONDS)[1]:
            os.write(_STDERR, f"{shown}\n".encode())
    except OSError:
        return  # the exit status must be enough


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
