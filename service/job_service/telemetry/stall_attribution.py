"""Finds out what a stalled loop is at: the place in somebody's code, and the job behind it.

All of it is for another thread than the loop's. It reads the frames of a thread that goes on
running and Trio's task tree, which may both change any moment; it never changes them itself.
"""

import os
import sysconfig
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, NamedTuple

import trio


class JobAtWork(NamedTuple):
    """What a stall can be blamed on."""

    job_id: str
    job_type: str
    worker_id: str


JobOfFrame = Callable[[FrameType], tuple[str, str, str] | None]

_STDLIB: Final = sysconfig.get_path("stdlib") + os.sep
_INSTALLED: Final = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def attribute_stall(
    innermost: FrameType, root: trio.lowlevel.Task, job_of_frame: JobOfFrame
) -> tuple[str, JobAtWork | None]:
    """Where the thread with this innermost frame is, and for which job.

    The place is the innermost one that is no library's, for a handler that waits for
    `requests.get` is to be told so, and not that some socket is read. Where all is a library's it
    is the handler's own, and without a job the very innermost.
    """
    stack: list[FrameType] = []
    outermost, job = innermost, None
    frame: FrameType | None = innermost
    while frame is not None and frame.f_code is not trio.run.__code__:
        if (found := job_of_frame(frame)) is not None:
            outermost, job = (stack or [frame])[-1], JobAtWork(*found)
            break
        stack.append(frame)
        frame = frame.f_back
    else:
        # It may be a task that the handler has started: the worker is among its ancestors.
        try:
            task = _task_of(stack, root)
            job = _job_of_ancestor(task, job_of_frame) if task is not None else None
        except Exception:
            # The stall has ended and the tree changed while it was read, or some task awaits what
            # Trio finds no frames in. The place is known all the same.
            task = None
        if task is not None and job is not None:
            outermost = task.coro.cr_frame or innermost
    return _told(next((frame for frame in stack if not _is_library(frame)), outermost)), job


def _task_of(stack: list[FrameType], root: trio.lowlevel.Task) -> trio.lowlevel.Task | None:
    # Which task runs is known to the loop's own thread only, but the task tree can be searched.
    frames = set(stack)
    return next((task for task in _tasks(root) if task.coro.cr_frame in frames), None)


def _tasks(root: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    waiting = [root]
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


def _job_of_ancestor(task: trio.lowlevel.Task, job_of_frame: JobOfFrame) -> JobAtWork | None:
    while (nursery := task.parent_nursery) is not None:
        task = nursery.parent_task
        for frame, _ in task.iter_await_frames():
            if (found := job_of_frame(frame)) is not None:
                return JobAtWork(*found)
    return None


def _is_library(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith((_STDLIB, "<frozen ")) or any(part in file for part in _INSTALLED)


def _told(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
