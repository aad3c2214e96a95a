"""Finds the registries of job types that were named, each as MODULE:NAME, and makes one of them."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from job_service.jobs.failure import describe
from job_service.jobs.registry import Registry
from job_service.settings import SettingsError


def load_registries(names: Sequence[str]) -> Registry:
    """All of them as one. Raises SettingsError, of the setting `jobs`."""
    # As with other programs that are told of modules: those of the working directory count too.
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
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SettingsError("jobs", f"{name!r}: must be MODULE:NAME, such as myapp.jobs:registry")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever it is, there are no jobs to serve
        raise SettingsError("jobs", f"{name}: {describe(error)}{_where(error)}") from error
    registry = getattr(module, attribute, None)
    if not isinstance(registry, Registry):
        raise SettingsError("jobs", f"{name}: {module_name} has no Registry named {attribute!r}")
    return registry


def _where(error: BaseException) -> str:
    """The place in the user's module, unless the import did not get that far."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
