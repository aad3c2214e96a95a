"""What a value may be, said once: for checks, for errors and for documentation."""

from typing import Any, get_args

from msgspec import Meta


def constraint(must_be: str, *, description: str, **bounds: Any) -> Meta:
    """The `bounds` of a value as msgspec checks them, and what an error says that it must be."""
    return Meta(description=description, extra={"must_be": must_be}, **bounds)


def must_be(annotation: Any) -> str:
    """What the `constraint` of an annotation says that a value must be."""
    for part in (annotation, *get_args(annotation)):
        for note in getattr(part, "__metadata__", ()):
            if isinstance(note, Meta) and note.extra:
                return str(note.extra["must_be"])
    raise TypeError(f"{annotation} has no constraint")
