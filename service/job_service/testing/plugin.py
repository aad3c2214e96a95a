"""For pytest: the fixture `virtual_time`, and no groups around the errors of tests that take it.

Name it in your conftest.py: `pytest_plugins = ["job_service.testing.plugin"]`. It is no entry
point, because pytest would load it in each of your test runs, in those of other projects, too.
"""

from collections.abc import Callable, Generator
from functools import partial, wraps
from inspect import iscoroutinefunction, unwrap
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from job_service.testing.ungrouped import only_error_in, raise_as_it_was


@pytest.fixture
def virtual_time() -> MockClock:
    """The clock of this test, which jumps whenever all tasks wait.

    An `async def` test that takes it is run by Trio, with pytest-trio and without, and also if
    pytest-asyncio runs all others.
    """
    return MockClock(autojump_threshold=0)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Called by pytest, around each test function."""
    __tracebackhide__ = True
    clock = pyfuncitem.funcargs.get("virtual_time")
    if not isinstance(clock, MockClock):
        return (yield)
    # pytest-trio has made another function of it, which is kept; so has pytest-asyncio.
    is_for_asyncio = type(pyfuncitem).__module__.partition(".")[0] == "pytest_asyncio"
    test = unwrap(pyfuncitem.obj) if is_for_asyncio else pyfuncitem.obj
    if iscoroutinefunction(test):
        pyfuncitem.obj = _run_by_trio(test, clock)
    try:
        return (yield)
    except BaseExceptionGroup as group:
        error = only_error_in(group)
    raise_as_it_was(error)


def _run_by_trio(test: Callable[..., Any], clock: MockClock) -> Callable[..., None]:
    @wraps(test)
    def run_test(**arguments: object) -> None:
        __tracebackhide__ = True
        trio.run(partial(test, **arguments), clock=clock)

    return run_test
