"""The command `backup`: has all jobs of a service copied to a file, whether it runs or not."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from job_service.access.tokens import strongest
from job_service.client import JobClient
from job_service.errors import BackupRefused, JobServiceError, StoreRefused, Unreachable
from job_service.process.standard_streams import print_error
from job_service.service_url import service_url
from job_service.settings import Settings
from job_service.stores.location import SqliteLocation, parse_store
from job_service.stores.sqlite.connection import open_connection
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.lock import StoreInUse, locked


def back_up(settings: Settings, url: str | None, destination: Path) -> int:
    """Copy the jobs to `destination`, and say so in a line. Gives the exit status.

    The service at `url`, or at the address of the settings, does it. If the settings name a file
    that no service has open, this process does. The status is 0 if it is done, 1 if it is refused,
    and 3 if no service answers.
    """
    destination = destination.absolute()
    location = parse_store(settings.store)
    try:
        if url is not None or not isinstance(location, SqliteLocation):
            with _asking(settings, url) as client:
                size = client.back_up(destination)
        else:
            size = _of_file(location.path, settings, destination)
    except (BackupRefused, StoreRefused) as error:
        print_error(str(error))
        return 1
    except Unreachable as error:
        print_error(str(error))
        return 3
    print(f"{destination}: {size:,} bytes")  # noqa: T201 (it is what was asked for)
    return 0


def _of_file(path: Path, settings: Settings, destination: Path) -> int:
    try:
        # To read only, so that a newer program copies the file of an older one as it is.
        with locked(path), closing(open_connection(path, read_only=True)) as connection:
            return JobFile(connection).backup(destination)
    except StoreInUse:
        with _asking(settings) as client:
            kept_in = client.view().store
            if os.path.realpath(kept_in.removeprefix("sqlite:")) != os.path.realpath(path):
                raise BackupRefused(
                    f"its store is {kept_in}, and another process has {path}"
                ) from None
            return client.back_up(destination)


@contextmanager
def _asking(settings: Settings, url: str | None = None) -> Iterator[JobClient]:
    """A client of the service at `url`, or at the address of the settings, for the block.

    Raises Unreachable at once, and BackupRefused for whatever else the service says.
    """
    token = strongest(settings.accepted_tokens)
    with JobClient(url or service_url(settings), token=token, patience_seconds=0) as client:
        try:
            yield client
        except Unreachable:
            raise
        except JobServiceError as error:
            raise BackupRefused(f"{client.url}: {error}") from error
