"""Turns exceptions into the bounded, printable text of log lines and job stories.

A handler may raise what is endless: a text of megabytes, a group of thousands, frames without
number. Describing it happens on the event loop, so all of it is cut before it is worked on.
"""

import linecache
import reprlib
import traceback
from itertools import islice
from types import FrameType, TracebackType
from typing import Final

from job_service.errors.groups import leaves

MAX_ERROR_CHARS: Final = 1_000
MAX_TRACEBACK_CHARS: Final = 16_000
MAX_KEPT_TRACEBACK_CHARS: Final = 4_000  # of each attempt, for as long as its job is kept

# What Python formats in a few milliseconds. Of an error with more only the outline is told.
_MODEST_ERRORS: Final = 50
_MODEST_FRAMES: Final = 150
_MODEST_CHARS: Final = 20_000
_OUTLINE_FRAMES: Final = 40
_OUTLINE_LINE_CHARS: Final = 200

_CUT: Final = "…"
_PACKAGE = __name__.partition(".")[0]


def describe(error: BaseException) -> str:
    """`ValueError: what it says`, one line of at most MAX_ERROR_CHARS; of a group, each error."""
    return shortened(" ".join(_describe(error).split()), MAX_ERROR_CHARS)


def format_traceback(error: BaseException, caller: str | None = None) -> str:
    """The traceback as Python prints it; where it is longer than MAX_TRACEBACK_CHARS, its end.

    Without the frames of the file `caller` that it begins with, unless it has no others. Of an
    error that is out of all proportion only the outermost and the innermost frames are told.
    """
    frames = _beyond(caller, error.__traceback__)
    try:
        if _is_modest(error):
            text = "".join(traceback.format_exception(type(error), error, frames))
        else:
            text = _outline(error, frames)
    except KeyboardInterrupt:
        raise
    except BaseException:  # an exception may be broken itself
        text = _outline(error, frames)
    return encodable(text[-MAX_TRACEBACK_CHARS:])[-MAX_TRACEBACK_CHARS:]


def shortened(text: str, chars: int) -> str:
    """The text in at most so many characters, with a mark where it is cut; always encodable."""
    text = encodable(text[: chars + 1])
    return text if len(text) <= chars else text[: chars - len(_CUT)] + _CUT


def encodable(text: str) -> str:
    """The text without lone surrogates, which can't go into a log line or a reply."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _describe(error: BaseException) -> str:
    if not isinstance(error, BaseExceptionGroup):
        return _describe_one(error)
    room = MAX_ERROR_CHARS  # an error takes at least one character of it
    texts: list[str] = []
    for leaf in islice(leaves(error), MAX_ERROR_CHARS):
        if room < 0:
            texts.append(_CUT)
            break
        texts.append(_describe_one(leaf))
        room -= len(texts[-1])
    return f"{type(error).__name__}: [{', '.join(texts)}]"


def _describe_one(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__
    # Of our own errors, and of Python's, the name is enough.
    if kind.__module__.partition(".")[0] not in ("builtins", "__main__", _PACKAGE):
        name = f"{kind.__module__}.{name}"
    text = "\n".join([_text_of(error, MAX_ERROR_CHARS + 1), *_notes_of(error)]).strip()
    return f"{name}: {text}" if text else name


def _text_of(error: BaseException, chars: int) -> str:
    """What the error says, and not much more than `chars` of it."""
    kind = type(error)
    try:
        if kind.__str__ is not KeyError.__str__:
            if kind.__str__ is not BaseException.__str__:
                return str(error)[:chars]
            if len(error.args) < 2:
                return "".join(_bounded(arg, chars) for arg in error.args)
        return _repr_of(error.args if len(error.args) != 1 else error.args[0], chars)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # what says it may be a handler's own code
        return f"<its text can't be had: {type(problem).__name__}>"


def _bounded(value: object, chars: int) -> str:
    if isinstance(value, str):
        return value[:chars]
    if isinstance(value, bytes | bytearray | list | tuple | dict | set | frozenset):
        return _repr_of(value, chars)
    return str(value)[:chars]


def _repr_of(value: object, chars: int) -> str:
    """As `repr`, which may take long, does of what is short."""
    short = _ShortRepr()
    short.maxstring = short.maxother = short.maxlong = chars
    short.maxtuple = short.maxlist = short.maxdict = short.maxset = short.maxfrozenset = 100
    return short.repr(value)[:chars]


class _ShortRepr(reprlib.Repr):
    def repr_bytes(self, value: bytes, _: int) -> str:
        return repr(value[: self.maxstring])

    repr_bytearray = repr_bytes


def _notes_of(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    if not isinstance(notes, list | tuple):
        return []
    return [note[:MAX_ERROR_CHARS] for note in notes[:_MODEST_ERRORS] if isinstance(note, str)]


def _beyond(file: str | None, whole: TracebackType | None) -> TracebackType | None:
    frames = whole
    while frames is not None and frames.tb_frame.f_code.co_filename == file:
        frames = frames.tb_next
    return frames or whole


def _is_modest(error: BaseException) -> bool:
    """Whether Python can format it, and all that led to it, in a short time."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    errors = frames = chars = 0
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        errors += 1
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            errors += len(one.exceptions)
            waiting += one.exceptions[:_MODEST_ERRORS]
        chars += _chars_of(one)
        for frame, line in traceback.walk_tb(one.__traceback__):
            frames += 1
            chars += _excess(frame, line)
            if frames > _MODEST_FRAMES:
                return False
        if errors > _MODEST_ERRORS or chars > _MODEST_CHARS:
            return False
    return True


def _chars_of(error: BaseException) -> int:
    """How much it says, as far as that matters."""
    chars = len(_text_of(error, _MODEST_CHARS + 1))
    chars += sum(map(len, getattr(error, "__notes__", ())))
    if isinstance(error, SyntaxError) and error.text is not None:
        chars += len(error.text)
    return chars


def _excess(frame: FrameType, number: int) -> int:
    """The length of a line of source that nobody has written by hand."""
    length = len(_source_of(frame, number))
    return length if length > MAX_ERROR_CHARS else 0


def _source_of(frame: FrameType, number: int) -> str:
    return linecache.getline(frame.f_code.co_filename, number, frame.f_globals)


def _outline(error: BaseException, whole: TracebackType | None) -> str:
    """What is told of an error that is too large to be told whole."""
    frames = list(traceback.walk_tb(whole))
    half = _OUTLINE_FRAMES // 2
    outermost, innermost = frames[:half], frames[half:][-half:]
    left_out = len(frames) - len(outermost) - len(innermost)
    return "".join(
        [
            "Traceback (in outline, because all of it would be too long; most recent call last):\n",
            *(_place(frame, number) for frame, number in outermost),
            f"  [{left_out} more]\n" if left_out else "",
            *(_place(frame, number) for frame, number in innermost),
            f"{describe(error)}\n",
        ]
    )


def _place(frame: FrameType, number: int) -> str:
    source = _source_of(frame, number)[:_OUTLINE_LINE_CHARS].strip()
    place = f'  File "{frame.f_code.co_filename}", line {number}, in {frame.f_code.co_name}\n'
    return place + (f"    {source}\n" if source else "")
