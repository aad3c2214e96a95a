"""Where a handler runs: on a loop, in a thread or in a process; and whether it can."""

import functools
import importlib.util
import io
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any, Literal, cast, get_args

from job_service.failures.report import describe
from job_service.jobs.registration.handler import kind_of, name_of, place_of, wraps_generator

RunsIn = Literal["loop", "thread", "process", "asyncio"]


def where_to_run(handler: Callable[..., Any], wanted: str | None) -> RunsIn:
    """Where `handler` runs: as `wanted`, or else by its kind.

    Raises ValueError if there is no such place, TypeError if the handler can't run there, and
    ImportError if processes need a library that is not installed.
    """
    if wanted not in (None, *get_args(RunsIn)):
        raise ValueError(
            f"runs_in must be 'loop', 'thread', 'process' or 'asyncio', not {wanted!r}"
        )
    if wanted is None and wraps_generator(handler):
        raise TypeError(
            f"{name_of(handler)} gives a generator, which nobody would run: if its wrapper runs "
            f"it to its end, write runs_in='thread'{place_of(handler)}"
        )
    place = _fitting(handler, wanted)
    if place == "process":
        require_sendable(handler)
    return place


def _fitting(handler: Callable[..., Any], wanted: str | None) -> RunsIn:
    match kind_of(handler), wanted:
        case ("async" | "wrapper", None | "loop"):
            return "loop"
        case ("plain", None):
            return "thread"
        # A wrapper in a thread is one that runs its function to the end.
        case (
            ("plain", "thread" | "process")
            | ("wrapper", "thread")
            | ("async" | "wrapper", "asyncio")
        ):
            return cast("RunsIn", wanted)
        case "wrapper", _:
            raise TypeError(
                f"{name_of(handler)} is an async def, and its coroutine can't come back from a "
                f"process: register a def that runs it, with trio.run{place_of(handler)}"
            )
        case kind, _:
            is_async = kind == "async"
            what = "an async def" if is_async else "a def"
            places = "'loop' or 'asyncio'" if is_async else "'thread' or 'process'"
            raise TypeError(f"{name_of(handler)} is {what}: it runs in {places}{place_of(handler)}")


class _NotImportable(Exception):
    """A process can't import it."""


def require_sendable(handler: Callable[..., Any]) -> None:
    """Raise TypeError if it can't be sent to a process by name, nor as a copy of its parts."""
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
            raise ImportError(
                "runs_in='process' needs trio-parallel: "
                "install the extra 'process' of trio-job-service"
            )
        return
    raise TypeError(f"{name_of(handler)} can't run in a process: {problem}{place_of(handler)}")


class _Trial(pickle.Pickler):
    """Finds out whether something can be pickled, for the sake of the error.

    It takes functions on trust, because a function can't be found by its name while decorators
    still work on it.
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
        raise _NotImportable("it must be in a module that can be imported, not in the program")
    found = getattr(sys.modules.get(part.__module__), part.__qualname__, None)
    if found is not None and found is getattr(part, "__wrapped__", None):
        raise _NotImportable("in its module, its name is that of the function it wraps")
