"""Sees whether a job has set context variables, which the next one on its worker must not see."""

from contextvars import Context, copy_context
from typing import Final

_ABSENT: Final = object()


class CleanContext:
    """The context that each job of a worker begins with."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._items = tuple(context.items())

    def fresh(self) -> Context:
        """A copy, for a job to change."""
        return self._context.copy()

    def is_current(self) -> bool:
        """Whether the present context has the very same values.

        They are compared by identity: to ask them runs the code of whoever made them, which may
        raise, or call different things equal.
        """
        present = copy_context()
        return len(present) == len(self._items) and all(
            present.get(variable, _ABSENT) is value for variable, value in self._items
        )
