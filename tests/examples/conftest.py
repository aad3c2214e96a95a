"""What tests of the examples share: how to import one."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

import pytest

from tests.docs.pages import EXAMPLES

Load = Callable[..., ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a module from the folder of an example, as who is in that folder would."""
    loaded = set[str]()

    def import_from(example: str, module: str | None = None) -> ModuleType:
        before = set(sys.modules)
        monkeypatch.syspath_prepend(str(EXAMPLES / example))
        found = import_module(module or example)
        loaded.update(
            name
            for name in set(sys.modules) - before
            if EXAMPLES.as_posix() in str(getattr(sys.modules[name], "__file__", ""))
        )
        return found

    yield import_from
    for name in loaded:  # another example may have a module of this name
        del sys.modules[name]
