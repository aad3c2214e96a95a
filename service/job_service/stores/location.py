"""Where the jobs of a service are kept, as an operator writes it."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

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


@dataclass(frozen=True, slots=True)
class PostgresLocation:
    """In a database of a PostgreSQL server. Its URL may have a password, which is not shown."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


Location = MemoryLocation | SqliteLocation | PostgresLocation


def parse_store(text: str) -> Location:
    """The store that `text` names; a relative path is one from the working directory.

    A path that ends in `.db` or `.sqlite` needs no `sqlite:`. Raises ValueError, which repeats
    nothing of a URL, because that may have a password in it; and FileNotFoundError if the working
    directory is gone.
    """
    if text == "memory":
        return MemoryLocation()
    if text.startswith(_POSTGRESQL):
        if "://" not in text:
            raise ValueError("takes a URL, such as postgresql://user@host/database")
        if find_spec("psycopg") is None:
            raise ValueError("needs psycopg: install the extra 'postgres' of trio-job-service")
        from job_service.stores.postgres.pooling import check_pool_mode

        check_pool_mode(text)
        return PostgresLocation(text)
    path = text.removeprefix(_SQLITE)
    is_file = text.startswith(_SQLITE) or (text.endswith(_OF_FILES) and "://" not in text)
    if not is_file:
        raise ValueError("must be memory, sqlite:PATH such as sqlite:jobs.db, or postgresql://…")
    if not path or path.endswith("/"):
        raise ValueError("needs the path of a file, such as sqlite:jobs.db")
    if ":memory:" in path or path.startswith("//") or "\0" in path:
        raise ValueError("takes a plain path, such as sqlite:jobs.db or sqlite:/srv/jobs.db")
    return SqliteLocation(Path(path).absolute())
