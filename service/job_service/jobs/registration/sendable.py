"""Which handlers can be sent to a process: by name, or as a copy of what they are made of."""

import functools
import importlib.util
import io
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

from job_service.failures.report import describe
from job_service.jobs.registration.handler import name_of, place_of


class _NotImportable(Exception):
    """A process can't import it."""


def check_can_run_in_process(handler: Callable[..., Any]) -> None:
    """Raise TypeError where a process can't have `handler`, ImportError without trio-parallel."""
    try:
        if _goes_by_name(handler):
            _require_importable(handler)
        else:
            _Trial().dump(handler)
    except _NotImportable as error:
        problem = str(error)
    except Exception as error:  # whatever its parts raise
        problem = f"it can't be copied there: {describe(error)}"
    else:
        if importlib.util.find_spec("trio_parallel") is None:
            raise ImportError("runs_in='process' needs pip install 'trio-job-service[process]'")
        return
    raise TypeError(f"{name_of(handler)} can't run in a process: {problem}{place_of(handler)}")


class _Trial(pickle.Pickler):
    """Tries whether something can be pickled, for the sake of the errors.

    It takes functions on trust: while they are decorated, nobody can find them by their names.
    """

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), pickle.HIGHEST_PROTOCOL)

    def reducer_override(self, part: Any) -> Any:
        if isinstance(part, type | types.FunctionType):
            _require_importable(part)
        return (object, ()) if isinstance(part, types.FunctionType) else NotImplemented


def _goes_by_name(handler: Any) -> bool:
    is_made_of_parts = isinstance(handler, functools.partial | types.MethodType)
    return hasattr(handler, "__qualname__") and not is_made_of_parts


def _require_importable(part: Any) -> None:
    if "<" in part.__qualname__:  # <lambda>, <locals>
        raise _NotImportable("it must be a function at the top of its module")
    if part.__module__ in ("__main__", "__mp_main__"):
        raise _NotImportable(
            "it must be in a module that can be imported, and not in the program itself"
        )
    found = getattr(sys.modules.get(part.__module__), part.__qualname__, None)
    if found is not None and found is getattr(part, "__wrapped__", None):
        raise _NotImportable("in its module its name is that of the function it wraps")
