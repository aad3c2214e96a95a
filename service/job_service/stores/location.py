"""Where the jobs of a service are kept, as an operator writes it: `memory`, or `sqlite:PATH`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SQLITE: Final = "sqlite:"
_OF_FILES: Final = (".db", ".sqlite")
_POSTGRESQL: Final = ("postgresql:", "postgres:")


@dataclass(frozen=True, slots=True)
class MemoryLocation:
    """In the memory of the process, and gone with it."""

    def __str__(self) -> str:
        return "memory"


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """In one SQLite file, at an absolute path."""

    path: Path

    def __str__(self) -> str:
        return f"{_SQLITE}{self.path}"


def parse_store(text: str) -> MemoryLocation | SqliteLocation:
    """The store that `text` names; a relative path is one from the working directory.

    A path that ends in `.db` or `.sqlite` needs no `sqlite:`. Raises ValueError, which repeats
    nothing of a URL, because that may have a password in it; and FileNotFoundError if the working
    directory is gone.
    """
    if text == "memory":
        return MemoryLocation()
    if text.startswith(_POSTGRESQL):
        raise ValueError("does not support PostgreSQL: use memory, or sqlite:PATH")
    path = text.removeprefix(_SQLITE)
    is_file = text.startswith(_SQLITE) or (text.endswith(_OF_FILES) and "://" not in text)
    if not is_file:
        raise ValueError("must be memory, or sqlite:PATH such as sqlite:jobs.db")
    if not path or path.endswith("/"):
        raise ValueError("needs the path of a file, such as sqlite:jobs.db")
    if ":memory:" in path or path.startswith("//") or "\0" in path:
        raise ValueError("takes a plain path, such as sqlite:jobs.db or sqlite:/srv/jobs.db")
    return SqliteLocation(Path(path).absolute())
