"""How many numbers JSON may have that are nearly too large for a float: each takes long to read.

msgspec needs a hundred times longer for one of 1e290 or more than for others, and nothing else runs
while it reads. A megabyte of `1e308` would stop the event loop for two seconds.
"""

import re
from typing import Final

MAX_HUGE: Final = 1_000
TOO_MANY_HUGE: Final = f"over {MAX_HUGE:,} of its numbers have an exponent of 200 or more"

_HUGE: Final = re.compile(rb"[eE]\+?0*[23]\d\d")


def has_too_many_huge(text: bytes) -> bool:
    """Whether this JSON text has more than MAX_HUGE numbers with an exponent of 200 to 399.

    Of those with a larger one none can be read. Text with few letters E costs next to nothing.
    """
    if text.count(b"e") + text.count(b"E") <= MAX_HUGE or len(_HUGE.findall(text)) <= MAX_HUGE:
        return False
    # Some may be in strings, such as those of binary data in hexadecimal digits.
    without_escapes = text.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_of_strings = b'"'.join(without_escapes.split(b'"')[::2])
    return len(_HUGE.findall(outside_of_strings)) > MAX_HUGE
