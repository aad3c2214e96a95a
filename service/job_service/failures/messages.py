"""What an error says: its message and its notes, read in a bounded time, even if it is broken."""

from collections.abc import Sequence
from subprocess import CalledProcessError, TimeoutExpired
from typing import Any, Final, NamedTuple

from job_service.failures.exception_groups import args_of, is_a
from job_service.failures.names import exact, full_name_of, name_of
from job_service.failures.size import MAX_CHARS, fits, outline_of

MAX_NOTES: Final = 50

# The attributes of which built-in errors make their messages.
_PARTS: Final = (
    (OSError, ("errno", "strerror", "filename", "filename2")),
    (ImportError, ("msg",)),
    (SyntaxError, ("msg", "filename", "lineno")),
    (UnicodeDecodeError, ("encoding", "reason")),
    (UnicodeEncodeError, ("encoding", "reason")),
    (UnicodeTranslateError, ("reason",)),
    (BaseExceptionGroup, ("message",)),
)
_MADE_OF_ARGS: Final = (BaseException, KeyError, CalledProcessError, TimeoutExpired)


class Message(NamedTuple):
    """What an error says, in at most MAX_CHARS characters, and whether that is all of it."""

    text: str
    is_whole: bool


class Messages:
    """The messages of errors. Each error is asked once, because its own code may take long."""

    def __init__(self) -> None:
        self._known: dict[int, Message] = {}

    def of(self, error: BaseException) -> Message:
        """Its message, without its type and its notes."""
        message = self._known.get(id(error))
        if message is None:
            message = self._known[id(error)] = _ask(error)
        return message

    def size_of(self, error: BaseException) -> int | None:
        """How many characters its message and its notes have; None if they are too many."""
        message, texts = self.of(error), notes_of(error)
        if is_a(error, SyntaxError):
            texts.append(SyntaxError.__dict__["text"].__get__(error))
        if not message.is_whole or len(texts) > MAX_NOTES or not fits(texts):
            return None
        return len(message.text) + sum(str.__len__(text) for text in _texts(texts))

    def line_of(self, error: BaseException) -> str:
        """Its type, its message, and its notes."""
        name = full_name_of(type(error))
        notes = [exact(note, MAX_CHARS) for note in _texts(notes_of(error))]
        text = "\n".join([self.of(error).text, *notes]).strip()
        return f"{name}: {text}" if text else name


def notes_of(error: BaseException) -> list[Any]:
    """Its first notes, which may be of any type."""
    attributes = BaseException.__dict__["__dict__"].__get__(error)
    notes: Any = dict.get(attributes, "__notes__")
    kind = type(notes)
    if issubclass(kind, list):
        return list.__getitem__(notes, slice(MAX_NOTES + 1))
    return list(tuple.__getitem__(notes, slice(MAX_NOTES + 1))) if issubclass(kind, tuple) else []


def _texts(values: Sequence[Any]) -> list[str]:
    return [value for value in values if issubclass(type(value), str)]


def _ask(error: BaseException) -> Message:
    try:
        parts = _parts_of(error)
        if parts is None or fits(parts):
            text = str(error)
            return Message(exact(text, MAX_CHARS), is_whole=str.__len__(text) <= MAX_CHARS)
        if len(parts) == 1 and not is_a(error, KeyError) and (texts := _texts(parts)):
            return Message(exact(texts[0], MAX_CHARS), is_whole=False)
        return Message(outline_of(parts), is_whole=False)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # its __str__ may be the user's own code
        return Message(f"<its message can't be read: {name_of(type(problem))}>", is_whole=False)


def _parts_of(error: BaseException) -> tuple[object, ...] | None:
    """What its message is made of; None if only its own code knows."""
    method = type.__getattribute__(type(error), "__str__")
    args = args_of(error)
    if any(method is kind.__str__ for kind in _MADE_OF_ARGS):
        return args
    for kind, names in _PARTS:
        if method is kind.__str__:
            parts = tuple(kind.__dict__[name].__get__(error) for name in names)
            return parts if any(part is not None for part in parts) else args
    return None
