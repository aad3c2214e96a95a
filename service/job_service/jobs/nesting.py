"""How deep JSON may be nested: what every reader can be trusted with, on every Python."""

import re
from itertools import accumulate
from typing import Final

MAX_DEPTH: Final = 500  # lists and objects in each other

_NO_BRACKETS = re.compile(rb'"(?:[^"\\]+|\\.)*"|[^][{}"]+')
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def is_too_deep(text: bytes) -> bool:
    """Whether this JSON text is nested deeper than MAX_DEPTH."""
    if len(text) <= MAX_DEPTH or text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False  # which spares most the closer look
    brackets = _NO_BRACKETS.sub(b"", text)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH
