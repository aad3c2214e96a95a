"""Reads the names of classes and short texts, whatever odd things they are made of."""

from typing import Final

MAX_ERROR_CHARS: Final = 1_000
CUT: Final = "…"

# As they are, and not as a metaclass or a property would have them.
_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_PACKAGE = __name__.partition(".")[0]


def name_of(kind: type) -> str:
    """The name of a class, without its module."""
    return exact(_qualname(kind), MAX_ERROR_CHARS)


def full_name_of(kind: type) -> str:
    """As users import it: pathlib.Path is in pathlib._local on Python 3.13.

    Without the module of errors of our own.
    """
    try:
        module = _module(kind)
    except AttributeError:
        module = None
    if not issubclass(type(module), str):
        return name_of(kind)
    module = exact(module, MAX_ERROR_CHARS)
    if module.partition(".")[0] in ("builtins", "__main__", _PACKAGE):
        return name_of(kind)
    first, *inner = module.split(".")
    public = [part for part in inner if not part.startswith("_")]
    return ".".join([first, *public, name_of(kind)])


def exact(text: str, chars: int) -> str:
    """Its first characters as a plain `str`; of a subclass no code is run."""
    return str.__getitem__(text, slice(chars))


def shortened(text: str, chars: int) -> str:
    """The text in at most so many characters, with a mark where it is cut; always encodable."""
    text = encodable(text[: chars + 1])
    return text if len(text) <= chars else text[: chars - len(CUT)] + CUT


def encodable(text: str) -> str:
    """The text without lone surrogates, which can't go into a log line or a reply."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
