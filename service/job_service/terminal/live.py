"""Draws on stdout: once, or again and again until Ctrl-C."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import click

from job_service.terminal.pictures import Picture

_LOOK_SECONDS: Final = 1.0

# What a terminal understands: ECMA-48, and DEC's private modes for its cursor and long lines.
_BEGIN: Final = "\x1b[?25l\x1b[?7l"
_END: Final = "\x1b[?25h\x1b[?7h"
_TO_LINE_END: Final = "\x1b[K"
_TO_SCREEN_END: Final = "\x1b[J"


def draw(picture: Callable[[], Picture], *, again: bool = False) -> None:
    """Draw the picture; if `again`, a new one in its place each second, until Ctrl-C."""
    if not again:
        show("\n".join(picture()))
        return
    height = 0
    try:
        click.echo(_BEGIN, nl=False, color=True)
        with suppress(KeyboardInterrupt):
            while True:
                lines = picture()[: shutil.get_terminal_size().lines - 1]
                up = f"\x1b[{height}F" if height else ""
                drawn = "".join(f"{line}{_TO_LINE_END}\n" for line in lines)
                click.echo(up + _coloured(drawn) + _TO_SCREEN_END, nl=False, color=True)
                height = len(lines)
                time.sleep(_LOOK_SECONDS)
    finally:
        click.echo(_END, nl=False, color=True)


def show(text: str) -> None:
    """Print it, with colours on a terminal, unless NO_COLOR forbids them."""
    click.echo(_coloured(text))


def _coloured(text: str) -> str:
    return click.unstyle(text) if "NO_COLOR" in os.environ else text
