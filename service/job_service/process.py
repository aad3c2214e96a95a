"""Ends the process around the service, with the status that was said."""

import atexit
import contextlib
import multiprocessing
import os
import sys
from typing import Final, NoReturn

from job_service.shutdown import Backstop

EXIT_SECONDS: Final = 1.0  # that libraries have to tidy up when all else is done


def end_process(status: int) -> NoReturn:
    """End the process, with this status and soon, whatever handlers have left running in it.

    Python itself would first wait for their threads. What is registered with `atexit` is called,
    as usual; so multiprocessing ends those of their children that are daemons. It would wait for
    the others, such as those of a process pool; they are asked to end, too.
    """
    Backstop(lambda: _end_at_once(status)).arm(EXIT_SECONDS)
    # There is no public way to have them called without waiting for threads.
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):  # a handler may have put anything in its place
            stream.flush()
    _end_at_once(status)


def _end_at_once(status: int) -> NoReturn:
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
        else:
            child.terminate()
    os._exit(status)
