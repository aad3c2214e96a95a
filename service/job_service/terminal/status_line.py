"""One line on stderr that says how far something is, for whoever waits at a terminal."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from job_service.telemetry.text import one_line

_BAR_COLUMNS: Final = 30
_ERASE_LINE: Final = "\r\x1b[K"


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Gives what draws a text in place of the one before. The line is gone after the block.

    Nothing is drawn if stderr is no terminal.
    """
    is_shown = sys.stderr.isatty()
    is_drawn = False

    def draw(text: str) -> None:
        nonlocal is_drawn
        if is_shown:
            is_drawn = True
            line = one_line(text)[: shutil.get_terminal_size().columns - 1]
            click.echo(_ERASE_LINE + line, nl=False, err=True, color=True)

    try:
        yield draw
    finally:
        if is_drawn:
            click.echo(_ERASE_LINE, nl=False, err=True, color=True)


def bar(fraction: float) -> str:
    """Such as `[#####.....] 50%`."""
    fraction = min(max(fraction, 0.0), 1.0)
    return f"[{'#' * round(fraction * _BAR_COLUMNS):.<{_BAR_COLUMNS}}] {fraction:.0%}"
