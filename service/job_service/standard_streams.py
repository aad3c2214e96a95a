"""Deals with standard streams that are closed, full, or read by nobody."""

import os
import select
import sys

_STDERR = 2
_PATIENCE_SECONDS = 1.0


def fill_in() -> None:
    """Have /dev/null where a standard stream is closed: the next socket would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is None:  # while a `sys.stdout` of None tells that there is no place for the log
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 (it stays open)


def tell(line: str) -> None:
    """Say one line on stderr, unless nobody takes it.

    What a terminal would obey, or nobody can see, is escaped: a line may hold what anybody wrote.
    """
    one_line = " ".join(f"job-service: {line}".splitlines())
    shown = "".join(map(_shown, one_line))
    try:
        if select.select([], [_STDERR], [], _PATIENCE_SECONDS)[1]:
            os.write(_STDERR, f"{shown}\n".encode())
    except OSError:
        return  # the exit status has to do


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
