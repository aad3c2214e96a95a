"""Tells which job a stalled loop is busy with, from the frames that are found on its stack."""

from types import FrameType
from typing import Final

from job_service.jobs.running.worker import Worker

_WORKERS_FILE: Final = Worker.run.__code__.co_filename


def job_of_frame(frame: FrameType) -> tuple[str, str, str] | None:
    """The job that a worker runs in this frame, its type and the worker; None if it is no worker's.

    It is for the thread that looks at a stalled loop, and costs a job nothing.
    """
    worker = frame.f_locals.get("self") if frame.f_code.co_filename == _WORKERS_FILE else None
    view = worker.view() if isinstance(worker, Worker) else None
    if view is None or view.job_id is None or view.job_type is None:
        return None
    return view.job_id, view.job_type, view.worker_id
