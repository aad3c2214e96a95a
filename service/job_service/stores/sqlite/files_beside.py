"""Opens the files that the service keeps beside the database."""

import os
from pathlib import Path

from job_service.errors import StoreRefused


def open_beside(path: Path, suffix: str) -> int:
    """A descriptor of the file with the name of the database and this suffix, made if need be.

    It is to be read and written, and beside the database itself, whatever links lead there. Raises
    StoreRefused if it can't be had, or if something is there that is no file.
    """
    file = Path(f"{os.path.realpath(path)}{suffix}")
    require_file_or_nothing(file)
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        directory = Path(os.path.realpath(file)).parent
        raise StoreRefused(f"there is no directory {directory}: make it first") from None
    except OSError as error:
        raise StoreRefused(f"can't use {file}: {error.strerror}") from None


def require_file_or_nothing(path: Path) -> None:
    """Raise StoreRefused if something else is in the place of one of the store's own files."""
    try:
        is_other = path.exists() and not path.is_file()
    except OSError:  # whoever opens it hears of that
        return
    if is_other:
        raise StoreRefused(f"{path} is no file: move it away")
