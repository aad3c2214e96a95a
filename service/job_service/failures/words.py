"""What one error says of itself, found in a bounded time, and whatever it does when it is asked."""

from collections.abc import Sequence
from subprocess import CalledProcessError, TimeoutExpired
from typing import Any, Final, NamedTuple

from job_service.failures.groups import args_of, is_a
from job_service.failures.names import exact, full_name_of, name_of
from job_service.failures.size import MAX_CHARS, fits, outline_of

MAX_NOTES: Final = 50

# What Python makes the texts of its own errors of.
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


class Words(NamedTuple):
    """What an error says, in at most MAX_CHARS characters, and whether that is all."""

    text: str
    is_all: bool


class Wording:
    """The words of errors, each of which is asked once: its answer may take long."""

    def __init__(self) -> None:
        self._known: dict[int, Words] = {}

    def words_of(self, error: BaseException) -> Words:
        """What it says, without its type and its notes."""
        words = self._known.get(id(error))
        if words is None:
            words = self._known[id(error)] = _ask(error)
        return words

    def size_of(self, error: BaseException) -> int | None:
        """How many characters it says, its notes included; None if they are too many."""
        words, said = self.words_of(error), notes_of(error)
        if is_a(error, SyntaxError):
            said.append(SyntaxError.__dict__["text"].__get__(error))
        if not words.is_all or len(said) > MAX_NOTES or not fits(said):
            return None
        return len(words.text) + sum(str.__len__(note) for note in _texts(said))

    def line_of(self, error: BaseException) -> str:
        """Its type, what it says, and its notes."""
        name = full_name_of(type(error))
        notes = [exact(note, MAX_CHARS) for note in _texts(notes_of(error))]
        text = "\n".join([self.words_of(error).text, *notes]).strip()
        return f"{name}: {text}" if text else name


def notes_of(error: BaseException) -> list[Any]:
    """The first of its notes, which may be anything."""
    known = BaseException.__dict__["__dict__"].__get__(error)
    notes: Any = dict.get(known, "__notes__")
    kind = type(notes)
    if issubclass(kind, list):
        return list.__getitem__(notes, slice(MAX_NOTES + 1))
    return list(tuple.__getitem__(notes, slice(MAX_NOTES + 1))) if issubclass(kind, tuple) else []


def _texts(values: Sequence[Any]) -> list[str]:
    return [value for value in values if issubclass(type(value), str)]


def _ask(error: BaseException) -> Words:
    try:
        parts = _parts_of(error)
        if parts is None or fits(parts):
            text = str(error)
            return Words(exact(text, MAX_CHARS), is_all=str.__len__(text) <= MAX_CHARS)
        if len(parts) == 1 and not is_a(error, KeyError) and (texts := _texts(parts)):
            return Words(exact(texts[0], MAX_CHARS), is_all=False)
        return Words(outline_of(parts), is_all=False)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # what says it may be a handler's own code
        return Words(f"<its text can't be had: {name_of(type(problem))}>", is_all=False)


def _parts_of(error: BaseException) -> tuple[object, ...] | None:
    """What its text is made of; None if only its own code knows."""
    says = type.__getattribute__(type(error), "__str__")
    args = args_of(error)
    if any(says is kind.__str__ for kind in _MADE_OF_ARGS):
        return args
    for kind, names in _PARTS:
        if says is kind.__str__:
            parts = tuple(kind.__dict__[name].__get__(error) for name in names)
            return parts if any(part is not None for part in parts) else args
    return None
