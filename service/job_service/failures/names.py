"""Reads the names of classes, and shortens texts, without running code of their classes."""

from typing import Final

MAX_ERROR_CHARS: Final = 1_000
CUT: Final = "…"

# As Python keeps them, even if a metaclass says something else.
_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_PACKAGE = __name__.partition(".")[0]


def name_of(kind: type) -> str:
    """The name of a class without its module."""
    return exact(_qualname(kind), MAX_ERROR_CHARS)


def full_name_of(kind: type) -> str:
    """The name of a class as users import it, with its module.

    Private modules are left out: on Python 3.13, pathlib.Path is in pathlib._local. So are the
    modules of built-in classes, of the running program and of this package.
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
    """The first characters of a text as a plain `str`, even if it is of a subclass."""
    return str.__getitem__(text, slice(chars))


def shortened(text: str, chars: int) -> str:
    """The text in at most `chars` characters, with a mark if it was cut; always encodable."""
    text = encodable(text[: chars + 1])
    return text if len(text) <= chars else text[: chars - len(CUT)] + CUT


def encodable(text: str) -> str:
    """The text without lone surrogates, which neither a log line nor a reply can carry."""
    return str.encode(text, "utf-8", "backslashreplace").decode("utf-8")
