"""The store in a file of SQLite: what it tells is kept, and survives the process."""

import math
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import trio
from msgspec import UNSET, structs

from job_service.errors import AlreadyFinished, NotFinished, StoreUnavailable, UnknownJob
from job_service.failures.report import describe
from job_service.jobs.state.attempt_transitions import release
from job_service.jobs.state.changes import CancelRequest, Change
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import (
    Cancellations,
    JobDetail,
    JobSummary,
    QueueView,
    detail_of,
    summarize,
)
from job_service.jobs.state.model import TERMINAL, Draft, IllegalTransition, Job, Status
from job_service.stores.commit import Act, CannotKeep, Committer
from job_service.stores.contract import KeyedRequest, Runner, Tick
from job_service.stores.idempotency import REMEMBERED_SECONDS
from job_service.stores.kept_counts import KeptCounts
from job_service.stores.live_store import LiveStore, Nobody, draft_like, no_such_job
from job_service.stores.outbox import Outbox, is_of
from job_service.stores.sqlite.file_thread import FileThread
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.records import Pause, Remembered, batch_of, job_of, summarized
from job_service.stores.sqlite.recovery import recover
from job_service.stores.sqlite.rows import KeyedEnd
from job_service.telemetry.events import Event, JobAbandoned, JobCreated, QueuePaused, QueueResumed

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore(LiveStore):
    """Keeps all jobs in one file, and those that have not ended in memory, too.

    Meaning and errors of all methods are those of `job_service.stores.contract.Store`.
    """

    is_durable = True

    def __init__(
        self,
        path: Path,
        emit: Callable[[Event], None],
        clock: Clock | None = None,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: int,
        retain_seconds: float | None = None,
        max_losses: int = 3,
    ) -> None:
        clock = clock or Clock()
        self.path = path
        self.retain = retain
        self.retain_seconds = retain_seconds
        self.max_losses = max_losses
        self.kept_counts = KeptCounts()
        self._emit = emit
        self._outbox = Outbox(self._say, Nobody())
        super().__init__(
            self._outbox.emit,
            clock,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=math.inf,  # in memory: what has ended leaves it when it is kept
            retain_bytes=math.inf,
        )
        self._live.runner = self._outbox
        self._outbox.find = self._jobs.get
        self._admission.find = self._find_predecessor
        self._looked_up: Mapping[str, Job] = {}
        self._keyed = set[str]()  # jobs that a request with a key has made, and that have not ended
        self._ticks: dict[str, Tick] = {}
        self._file = FileThread(partial(JobFile.open, path))
        self._committer = Committer(self._keep, self._tell, self._refuse, emit, clock)
        self._token: trio.lowlevel.TrioToken | None = None
        self._is_read = False
