"""Where `job-service` starts: it makes the process ready for signals, then imports the rest.

That takes a second, and the modules of job types may take longer. Until this module runs, a signal
ends Python as it ends any program. So it imports almost nothing, not even `typing`.
"""

import contextlib
import os
import signal
import sys

from job_service.process.init import run_under_init
from job_service.process.standard_streams import fill_in_closed_streams, print_error

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def main() -> None:
    """Run `job-service` and exit with the status that `job_service.main.main` chooses.

    SIGTERM or SIGINT during the imports ends it with 0, because no job has been accepted yet.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, signal.SIGHUP})
    fill_in_closed_streams()
    hide_tokens(sys.argv)
    if os.getpid() == 1:
        run_under_init()

    from job_service.jobs.running.forks import restore_signals_in_children

    restore_signals_in_children()  # to what they are now, before they are set for this process
    for number in _STOP_SIGNALS:
        signal.signal(number, _end)
    # SIGHUP stays blocked: its meaning depends on the command line, which is not read yet.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGHUP})

    from job_service.main import main as run
    from job_service.process.ending import end_process

    try:
        run()
    except SystemExit as ending:
        end_process(ending.code if isinstance(ending.code, int) else 1)
    except BaseException:
        import traceback

        with contextlib.suppress(Exception):  # stderr may be full; Python itself ignores that, too
            traceback.print_exc()
        end_process(1)  # Python itself would wait for the threads that handlers left behind


def hide_tokens(command_line: list[str]) -> None:
    """If `command_line` has tokens, hide them from what `ps` shows of this process."""
    shown = command_line.copy()
    for index, argument in enumerate(command_line):
        if argument.startswith("--token="):
            shown[index] = "--token=…"
        elif argument == "--token" and index + 1 < len(shown):
            shown[index + 1] = "…"
        elif "://" in argument and "@" in argument:  # the URL of a store may have a password
            before, _, place = argument.rpartition("@")
            shown[index] = f"{before.partition('://')[0]}://…@{place}"
    if shown != command_line:
        from setproctitle import setproctitle  # it imports more than all else here

        setproctitle(" ".join(shown))


def _end(number: int, _: object) -> None:
    # An exception might be caught by the module that is being imported.
    print_error(f"{signal.Signals(number).name} came before the service had started")
    os._exit(0)
