"""Ends the process of the service soon, whatever handlers have left running in it."""

import atexit
import contextlib
import multiprocessing
import os
import sys
from typing import Final, NoReturn

from job_service.process.shutdown import Backstop

EXIT_SECONDS: Final = 1.0  # for libraries to clean up in when all else is done


def end_process(status: int) -> NoReturn:
    """End the process with this status, in about EXIT_SECONDS at most.

    Python itself would wait for the threads that handlers have left. Functions registered with
    `atexit` run as usual. That of multiprocessing kills its daemonic children and waits for the
    others, such as those of a process pool; these are terminated when the time is up.
    """
    Backstop(lambda: _end_at_once(status)).arm(EXIT_SECONDS)
    # No public function calls them without waiting for threads.
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):  # a handler may have replaced it with anything
            stream.flush()
    _end_at_once(status)


def _end_at_once(status: int) -> NoReturn:
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
        else:
            child.terminate()
    os._exit(status)
