"""Shows how far a command about many jobs has come, and tells what it did if it ends early."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from job_service.errors import JobServiceError
from job_service.standard_streams import print_error
from job_service.terminal.session import Session
from job_service.terminal.status_line import status_line

T = TypeVar("T")


@contextmanager
def progress_of(session: Session, words: Callable[[T], str]) -> Iterator[Callable[[T], None]]:
    """Gives what to call after each portion, with all that is done so far.

    People at a terminal see it in a line. If Ctrl-C or an error ends the block, a line on stderr
    tells it, and that the command may be given again.
    """
    told: str | None = None

    def tell(done: T) -> None:
        nonlocal told
        told = words(done)
        if not session.as_json:
            draw(told)

    try:
        with status_line() as draw:
            yield tell
    except KeyboardInterrupt:
        done = "before any answer" if told is None else f"after {told}, or a few more"
        print_error(f"stopped {done}; {_AGAIN}")
        raise
    except JobServiceError:
        if told is not None:
            print_error(f"{told} so far; {_AGAIN}")
        raise


_AGAIN = "give the same command again to go on"
