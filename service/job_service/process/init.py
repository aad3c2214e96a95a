"""The duties of PID 1 in a container: to pass signals on, and to reap orphaned processes.

When a process loses its parent, PID 1 becomes its parent and must wait for its end, or it stays a
zombie. The service itself could not tell such a process from its own children, whose exit status
other code waits for. So the service runs in a child, and PID 1 does nothing but its duties.
"""

import os
import signal

_PASSED_ON = {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
}
_FROM_THE_KERNEL = 0x80  # SI_KERNEL, such as from a terminal, which signals all its processes


def run_under_init() -> None:
    """Do the duties of PID 1 here, and return in a child, in which these signals are blocked.

    PID 1 ends when the child does, with its exit status, or with 128 plus the number of the signal
    that ended it, as a shell does. If it can't fork, it returns in PID 1 itself.
    """
    awaited = {*_PASSED_ON, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        child = os.fork()
    except OSError:  # then nothing else can fork either, and there is nothing to reap
        return
    while child != 0:
        came = signal.sigwaitinfo(awaited)
        if came.si_signo == signal.SIGCHLD:
            _reap(child)
        elif came.si_code != _FROM_THE_KERNEL or came.si_signo == signal.SIGHUP:
            os.kill(child, came.si_signo)


def _reap(child: int) -> None:
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if pid == 0:
            return
