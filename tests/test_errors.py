"""Groups of errors are searched without trusting what they say of themselves."""

from typing import Any

import pytest
import trio

from job_service.failures.exception_groups import is_cancellation, leaves


class Liar(Exception):
    """An error that claims to be of another class."""

    @property  # type: ignore[misc]  # as it should not be
    def __class__(self) -> type:
        """What it says."""
        return KeyboardInterrupt


class EmptyInside(ExceptionGroup[Exception]):
    """A group that hides its errors."""

    @property
    def exceptions(self) -> Any:
        """What it says."""
        raise KeyError("exceptions")


def test_what_a_group_holds_is_found_whatever_it_says() -> None:
    """No code of the group runs."""
    inner = ValueError()
    assert list(leaves(EmptyInside("g", [inner, ExceptionGroup("h", [inner])]))) == [inner]
    assert list(leaves(Liar())) != []


def test_each_error_of_a_group_is_looked_at_once() -> None:
    """Thirty groups, each twice in the next, are not a billion errors."""
    error: Exception = ValueError()
    for _ in range(60):
        error = ExceptionGroup("g", [error, error])
    assert len(list(leaves(error))) == 1


async def test_a_cancellation_is_nothing_else() -> None:
    """Alone, in a group, or in groups of groups; but not if another error is in there."""
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            await trio.lowlevel.checkpoint()
    cancelled = caught.value
    assert is_cancellation(cancelled)
    assert is_cancellation(BaseExceptionGroup("g", [BaseExceptionGroup("h", [cancelled])]))
    assert not is_cancellation(BaseExceptionGroup("g", [cancelled, ValueError()]))
