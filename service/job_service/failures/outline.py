"""The outline of a traceback: its outermost and its innermost frames, and the error in a line."""

import linecache
import traceback
from types import FrameType, TracebackType
from typing import Final

MAX_LINE_CHARS: Final = 1_000  # no line that people write by hand is longer

_FRAMES: Final = 40
_PLACE_CHARS: Final = 200


def outline(
    whole: TracebackType | None, line: str, because: str = "because it is too long or too odd"
) -> str:
    """What stands for a traceback that is not formatted as usual, and says why."""
    frames = list(traceback.walk_tb(whole))
    half = _FRAMES // 2
    outermost, innermost = frames[:half], frames[half:][-half:]
    left_out = len(frames) - len(outermost) - len(innermost)
    return "".join(
        [
            f"Traceback (in outline, {because}; most recent call last):\n",
            *(_place(frame, number) for frame, number in outermost),
            f"  [{left_out} more]\n" if left_out else "",
            *(_place(frame, number) for frame, number in innermost),
            f"{line}\n",
        ]
    )


def source_of(frame: FrameType, number: int) -> str:
    """The line of source code; empty if there is none, or if its loader fails."""
    try:
        return linecache.getline(frame.f_code.co_filename, number, frame.f_globals)
    except KeyboardInterrupt:
        raise
    except BaseException:  # the loader may be the user's own
        return ""


def _place(frame: FrameType, number: int) -> str:
    source = source_of(frame, number)[:_PLACE_CHARS].strip()
    code = frame.f_code
    file, name = code.co_filename[-_PLACE_CHARS:], code.co_name[:_PLACE_CHARS]
    return f'  File "{file}", line {number}, in {name}\n' + (f"    {source}\n" if source else "")
