"""`job-service serve --reload`: starts the service again when the files of its job types change.

It is for development. The service runs in a process of its own. When a file changes, that is asked
to drain, as by SIGTERM, and the next one starts when it has ended.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from job_service.process.standard_streams import print_error

_LOOK_SECONDS: Final = 0.25
_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})

Times = dict[Path, int]


class _Service:
    """The process of the service that runs now, and whether it was told to end for good."""

    def __init__(self, options: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", "job_service", *options]
        self.is_to_end = False

    def start(self) -> None:
        """Start a process, in a group of its own: or Ctrl-C would reach it twice, for "at once"."""
        self.process = subprocess.Popen(self._command, process_group=0)  # noqa: S603
        if self.is_to_end:  # the signal came meanwhile, and went to the process before
            self.process.terminate()

    def pass_on(self, number: int, _: object) -> None:
        """Handle a signal: whoever tells this process to end means the service."""
        self.is_to_end = True
        self.process.send_signal(number)


def serve_and_reload(registries: Sequence[str], options: Sequence[str]) -> int:
    """Run `job-service` with these options until it is told to end; gives its exit status.

    If something else ends it, such as a mistake in a module, it starts again at the next change.
    """
    folders = set(folders_of(registries))
    service = _Service(options)
    times = changed_at(folders)
    service.start()
    with _signals_passed_on_to(service):
        while not service.is_to_end:
            _wait_for_change(folders, times, service)
            times = changed_at(folders)
            if not service.is_to_end:
                print_error("a file has changed: the service ends, and starts again")
                service.process.terminate()
                service.process.wait()
            if not service.is_to_end:
                service.start()
        status = service.process.wait()
    return status if status >= 0 else 128 - status  # as a shell has it


def folders_of(registries: Iterable[str]) -> Iterator[Path]:
    """The folder of each registry's module, or of the package that this is in."""
    sys.path.insert(0, str(Path.cwd()))
    for name in registries:
        package = name.partition(":")[0].partition(".")[0]
        with suppress(ImportError, ValueError):  # of which the service tells
            spec = importlib.util.find_spec(package)
            if spec is None:
                continue
            if spec.origin is not None:
                yield Path(spec.origin).parent
            else:  # it has no __init__.py
                yield from map(Path, spec.submodule_search_locations or ())


def changed_at(folders: Iterable[Path]) -> Times:
    """When each Python file in and below these folders was changed last."""
    times: Times = {}
    for folder in folders:
        for place, inner, files in os.walk(folder):
            inner[:] = [name for name in inner if name not in _NOT_OURS and name[0] != "."]
            for name in files:
                if name.endswith(".py"):
                    path = Path(place, name)
                    with suppress(FileNotFoundError):  # it is being replaced
                        times[path] = path.stat().st_mtime_ns
    return times


def _wait_for_change(folders: Iterable[Path], times: Times, service: _Service) -> None:
    """Return when a file has changed, or the service is to end, or has ended as it should."""
    has_told = False
    while not service.is_to_end and changed_at(folders) == times:
        time.sleep(_LOOK_SECONDS)
        status = service.process.poll()
        if status == 0:
            service.is_to_end = True
        elif status is not None and not has_told:
            print_error("it starts again when a file changes")
            has_told = True


@contextmanager
def _signals_passed_on_to(service: _Service) -> Iterator[None]:
    before = {number: signal.signal(number, service.pass_on) for number in _PASSED_ON}
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
