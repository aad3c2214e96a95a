"""Attributes a stall of the event loop: to a line of code, and to the job that it runs for.

All of it is for another thread than the loop's. It reads the frames of a thread that goes on
running, and Trio's task tree. Both may change at any moment, and it changes neither.
"""

import os
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

import trio


class StallingJob(NamedTuple):
    """The job that a stall is attributed to."""

    job_id: str
    job_type: str
    worker_id: str


JobOfFrame = Callable[[FrameType], tuple[str, str, str] | None]

_STDLIB: Final = sysconfig.get_path("stdlib") + os.sep
_CALLERS: Final = str(Path(__file__).parents[1] / "jobs" / "running") + os.sep  # of handlers
_INSTALLED: Final = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def attribute_stall(
    innermost: FrameType, root: trio.lowlevel.Task | None, job_of_frame: JobOfFrame
) -> tuple[str, StallingJob | None]:
    """The place where the thread with this innermost frame is, and the job that it is there for.

    The place is the innermost one outside of libraries: if a handler waits in `requests.get`, its
    own line is of use, and not that a socket is read somewhere. If all frames are in libraries, it
    is the outermost one of the handler, or without a job the innermost one. `root` is that of the
    tasks among whose ancestors a job may be, if there are such.
    """
    stack: list[FrameType] = []
    outermost, job = innermost, None
    frame: FrameType | None = innermost
    while frame is not None and frame.f_code is not trio.run.__code__:
        if (found := job_of_frame(frame)) is not None:
            stack = _without_callers(stack) or [frame]
            outermost, job = stack[-1], StallingJob(*found)
            break
        stack.append(frame)
        frame = frame.f_back
    else:
        # The handler may have started this task. Then the worker is among its ancestors.
        try:
            task = _task_of(stack, root) if root is not None else None
            job = _job_of_ancestor(task, job_of_frame) if task is not None else None
        except Exception:
            # The stall has ended and the tree changed while it was read, or a task awaits something
            # in which Trio finds no frames. The place is known all the same.
            task = None
        if task is not None and job is not None:
            outermost = task.coro.cr_frame or innermost
    return _place_of(next((frame for frame in stack if not _is_library(frame)), outermost)), job


def _task_of(stack: list[FrameType], root: trio.lowlevel.Task) -> trio.lowlevel.Task | None:
    # Only the loop's own thread can ask which task runs, but the task tree can be searched.
    frames = set(stack)
    return next((task for task in _tasks(root) if task.coro.cr_frame in frames), None)


def _tasks(root: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    waiting = [root]
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


def _job_of_ancestor(task: trio.lowlevel.Task, job_of_frame: JobOfFrame) -> StallingJob | None:
    while (nursery := task.parent_nursery) is not None:
        task = nursery.parent_task
        for frame, _ in task.iter_await_frames():
            if (found := job_of_frame(frame)) is not None:
                return StallingJob(*found)
    return None


def _without_callers(stack: list[FrameType]) -> list[FrameType]:
    """The frames from the handler on, or all of them if none is the handler's."""
    for callers, frame in enumerate(reversed(stack)):
        if not frame.f_code.co_filename.startswith(_CALLERS):
            return stack[: len(stack) - callers]
    return stack


def _is_library(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith((_STDLIB, "<frozen ")) or any(part in file for part in _INSTALLED)


def _place_of(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
