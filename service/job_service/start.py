"""What runs first of `job-service`: it makes the process ready for signals, then imports the rest.

That takes a second, and the modules of job types may take longer. This one imports next to nothing,
not even `typing`: until it runs, a signal ends Python as it ends any other program.
"""

import contextlib
import os
import signal
import sys

from job_service.init import run_under_init
from job_service.standard_streams import fill_in, tell

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def main() -> None:
    """Run `job-service` and exit, with the status that `job_service.main.main` tells.

    SIGTERM or SIGINT while it is still being imported ends it with 0, since nothing was accepted.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, signal.SIGHUP})
    fill_in()
    hide_tokens(sys.argv)
    if os.getpid() == 1:
        run_under_init()

    from job_service.jobs.running.forks import restore_signals_in_children

    restore_signals_in_children()  # as they are now, and not as they will be here
    for number in _STOP_SIGNALS:
        signal.signal(number, _end)
    # SIGHUP stays held back: what it means depends on the command line, which is yet to be read.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGHUP})

    from job_service.main import main as run
    from job_service.process import end_process

    try:
        run()
    except SystemExit as ending:
        end_process(ending.code if isinstance(ending.code, int) else 1)
    except BaseException:
        import traceback

        with contextlib.suppress(Exception):  # as with Python's own: stderr may be full
            traceback.print_exc()
        end_process(1)  # Python itself would wait for the threads that handlers have left


def hide_tokens(command_line: list[str]) -> None:
    """Where tokens are among `command_line`, take them out of what `ps` shows of this process."""
    shown = command_line.copy()
    for index, argument in enumerate(command_line):
        if argument.startswith("--token="):
            shown[index] = "--token=…"
        elif argument == "--token" and index + 1 < len(shown):
            shown[index + 1] = "…"
    if shown != command_line:
        from setproctitle import setproctitle  # which imports more than all else here

        setproctitle(" ".join(shown))


def _end(number: int, _: object) -> None:
    # No exception: whatever module is being imported might catch it.
    tell(f"{signal.Signals(number).name} came before the service had started")
    os._exit(0)
