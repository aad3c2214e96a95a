"""Sees whether a job has set context variables, which the next one on its worker must not see."""

from contextvars import copy_context
from operator import is_

import trio


class CleanContext:
    """The context of the task that makes it, as each job of that task is to find it."""

    def __init__(self) -> None:
        self._context = copy_context()
        self._values = tuple(self._context.values())

    def restore(self) -> bool:
        """Give it back to the task, from its next step on, if a job has set variables.

        Returns whether one has. Values are compared by identity: to ask them runs the code of
        whoever made them, which may raise, or call different things equal.
        """
        present = copy_context()
        # No job can remove a variable, so if there are as many as before they are the same.
        if len(present) == len(self._values) and (
            not present or all(map(is_, present.values(), self._values))
        ):
            return False
        trio.lowlevel.current_task().context = self._context.copy()
        return True
