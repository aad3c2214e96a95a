"""Reads numbers of bytes as people write them, such as 268435456 or 256MiB."""

import re
from typing import Final

import click

_UNITS: Final = ("", "kib", "mib", "gib")
_WRITTEN: Final = re.compile(rf"(\d{{1,18}}) ?({'|'.join(_UNITS)})")


def read_bytes(_: click.Context, __: click.Parameter, text: str) -> int:
    """The number of bytes in `text`. Click calls it; raises BadParameter if it is not one."""
    written = _WRITTEN.fullmatch(text.strip().lower())
    if written is None:
        raise click.BadParameter(f"{text!r} is not a number of bytes, such as 268435456 or 256MiB")
    return int(written[1]) << 10 * _UNITS.index(written[2])


def in_mib(number: int) -> str:
    """A whole number of MiB, written as `read_bytes` reads it."""
    return f"{number // 1024**2}MiB"
