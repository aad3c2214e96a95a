"""What PID 1 of a container has to do: pass signals on, and reap what others leave behind.

The parent of a process that has lost its own is PID 1, which must wait for its end, or it stays a
zombie. The service itself could not tell such a process from its own children, whose exit status
somebody else waits for. So it is a child of PID 1, which does nothing but this.
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
_FROM_THE_KERNEL = 0x80  # SI_KERNEL: of a terminal, say, which signals all its processes


def run_under_init() -> None:
    """Be PID 1 here, and return in a child of it, in which all these signals are held back.

    PID 1 ends when the child does, with its status, or 128 and the number of the signal that ended
    it, as a shell has it. Where there can be no child, it returns in PID 1 itself.
    """
    awaited = {*_PASSED_ON, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        child = os.fork()
    except OSError:  # nor will there be any whom to reap
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
