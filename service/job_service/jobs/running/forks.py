"""Keeps from the children that handlers fork what is the service's own: its signals and sockets.

A forked child is a copy of its parent. As such it would take a SIGTERM for a request to drain, and
hold the port long after the service has gone. Programs that are started in the usual ways, by
`subprocess` say, are no copies, and inherit nothing.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Final, NoReturn
from weakref import WeakMethod

import trio

from job_service.process.standard_streams import print_error

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def release_in_children(release: Callable[[], None]) -> None:
    """Have the bound method `release` called in each child, before anything else runs there.

    Python keeps such a call for the life of the process, so the method's owner is held weakly.
    Other threads are not in the child, but locks that they held are: `release` must take none.
    """
    method = WeakMethod(release)

    def release_if_alive() -> None:
        if (alive := method()) is not None:
            alive()

    os.register_at_fork(after_in_child=release_if_alive)


def restore_signals_in_children() -> None:
    """Have the signals that stop a process stop the children, too, as they would before this call.

    They are held back while a child is made: whoever starts a child and terminates it at once
    means the child, not the copy of the service that it still is.
    """
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOP_SIGNALS}
    masks: dict[int, set[signal.Signals | int]] = {}  # by thread, because several may fork at once

    def hold_back() -> None:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        masks[threading.get_ident()] = set(mask)

    def let_through() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop(threading.get_ident()))

    def restore() -> None:
        signal.set_wakeup_fd(-1)  # by which the child would wake its parent's loop
        for number, handler in before.items():
            signal.signal(number, handler)
        let_through()

    os.register_at_fork(before=hold_back, after_in_parent=let_through, after_in_child=restore)


def let_go_of(descriptors: Iterable[int]) -> None:
    """In a child: put nothing in the place of what its parent has open as `descriptors`.

    To close them would be wrong. They are still in objects that would close them again, when the
    numbers have long been those of other files.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        if descriptor >= 0:
            os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


class EndOfCopy(trio.abc.Instrument):
    """In a child that a handler has forked on the loop: ends it when the handler awaits.

    The child would go on as a second service, on the loop that it shares with its parent.
    """

    def after_task_step(self, _: trio.lowlevel.Task) -> None:
        """Called by Trio when the step is over in which the child was made."""
        end_copy()


def end_copy(*_: object) -> NoReturn:
    """End a forked child that has come back to the service: it has no business here."""
    print_error(
        "a handler has forked a child that came back to the service; end it with os._exit()"
    )
    os._exit(1)
