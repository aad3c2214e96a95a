"""Imports the registries that are named as MODULE:NAME, and merges them into one."""

import difflib
import importlib
import importlib.util
import os
import re
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from job_service.errors import SettingsError
from job_service.failures.report import describe
from job_service.jobs.registration.registry import Registry

_NAME = re.compile(r"([^\s/\\.:]+(?:\.[^\s/\\.:]+)*):([^\s/\\.:]+(?:\.[^\s/\\.:]+)*)")

_OURS = (str(Path(__file__).parents[1]),)
_INSTALLED = (*site.getsitepackages(), site.getusersitepackages())
_STANDARD = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))


def load_registries(names: Sequence[str]) -> Registry:
    """One registry with all that the named ones hold.

    Raises SettingsError, of the setting `jobs`, if one can't be imported, or if two have the same
    name for a job type or a resource.
    """
    # Modules in the working directory count, too, as with `python -m`.
    with suppress(FileNotFoundError):  # it may have been deleted
        sys.path.insert(0, str(Path.cwd()))
    registry = Registry()
    for name in names:
        loaded = _load_registry(name)
        try:
            registry.include(loaded)
        except ValueError as error:
            raise SettingsError("jobs", f"{name}: {error}") from error
    return registry


def _load_registry(name: str) -> Registry:
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise SettingsError("jobs", f"{name!r}: must be MODULE:NAME, such as myapp.jobs:registry")
    module_name, attribute = parts.groups()
    with _in_one_line(name, module_name):
        module = importlib.import_module(module_name)
        found: object = module
        for part in attribute.split("."):
            found = getattr(found, part, None)
    if isinstance(found, Registry):
        return found
    problem = f"{module_name} has no Registry named {attribute!r}"
    if found is not None:
        problem += f": it is a {type(found).__name__}"
    raise SettingsError("jobs", f"{name}: {problem}{_hint(module, attribute)}")


@contextmanager
def _in_one_line(name: str, module_name: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it is, there are no jobs to run
        what, where = _what(error, module_name), _where(error, module_name)
        if where and where.rpartition(":")[0] in what:  # our own errors name the place themselves
            where = ""
        raise SettingsError("jobs", f"{name}: {what}{where}") from error


def _hint(module: ModuleType, attribute: str) -> str:
    known = [name for name, value in vars(module).items() if isinstance(value, Registry)]
    meant = difflib.get_close_matches(attribute, known, n=1) or known
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def _what(error: BaseException, module_name: str) -> str:
    if isinstance(error, SyntaxError):  # its place follows, as with all errors
        return f"{type(error).__name__}: {error.msg}"
    what = describe(error)
    if isinstance(error, ImportError) and "relative import" in what:
        return f"{what}; name the module with its package, as in myapp.jobs:registry"
    if isinstance(error, ModuleNotFoundError) and error.name:
        if module_name.endswith(".py"):
            return f"{what}; name the module and not its file: {module_name.removesuffix('.py')}"
        if f"{module_name}.".startswith(f"{error.name}."):
            return f"{what}; it is neither installed nor in {Path.cwd()}"
    return what


def _where(error: BaseException, module_name: str) -> str:
    """The place in the user's own code that raised it; empty if the import did not get that far."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f" ({error.filename}:{error.lineno or 1})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not _is_in(frame.filename, _OURS)
        and (_is_in(frame.filename, _INSTALLED) or not _is_in(frame.filename, _STANDARD))
    ]
    own = [frame for frame in frames if not _is_in(frame.filename, _INSTALLED)] or frames
    if own:
        return f" ({own[-1].filename}:{own[-1].lineno})"
    return f" ({_file_of(module_name)}:1)" if isinstance(error, SyntaxError) else ""


def _file_of(module_name: str) -> str:
    """The file of a module; Python's own error does not name one that has NUL bytes in it."""
    spec = importlib.util.find_spec(module_name)
    return spec.origin or module_name if spec else module_name


def _is_in(file: str, folders: Sequence[str]) -> bool:
    return any(file.startswith(f"{folder}{os.sep}") for folder in folders)
