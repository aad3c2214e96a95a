"""Shows how far a command about many jobs has come, and tells what it did if it ends early."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from job_service.errors import JobServiceError
from job_service.process.standard_streams import print_error
from job_service.terminal.session import Session
from job_service.terminal.status_line import status_line

T = TypeVar("T")


class Tally(Generic[T]):
    """What is told of many jobs: in words, and how many they are, or at least are."""

    def __init__(self, words: Callable[[T], str]) -> None:
        self._words = words
        self.told: str | None = None
        self.is_too_low = False
        self.draw: Callable[[str], None] | None = None

    def tell(self, done: T) -> None:
        """This many are done so far."""
        self.told = self.words(done)
        if self.draw is not None:
            self.draw(self.told)

    def undercount(self) -> None:
        """More may be done than is counted."""
        self.is_too_low = True

    def words(self, done: T) -> str:
        """How many they are, for people."""
        return f"{'at least ' if self.is_too_low else ''}{self._words(done)}"


@contextmanager
def tally_of(session: Session, words: Callable[[T], str]) -> Iterator[Tally[T]]:
    """Gives what to tell after each portion.

    People at a terminal see it in a line. If Ctrl-C or an error ends the block, a line on stderr
    tells it, and that the command may be given again. Another one says if more may be done than is
    counted.
    """
    tally = Tally(words)
    try:
        with status_line() as draw:
            tally.draw = None if session.as_json else draw
            yield tally
    except KeyboardInterrupt:
        done = "before any answer" if tally.told is None else f"after {tally.told}, or a few more"
        print_error(f"stopped {done}; {_AGAIN}")
        raise
    except JobServiceError:
        if tally.told is not None:
            print_error(f"{tally.told} so far; {_AGAIN}")
        raise
    if tally.is_too_low:
        print_error("a part was asked for twice, and what the first request did is not counted")


_AGAIN = "give the same command again to go on"
