"""The calls about the queue and the service as a whole."""

from collections.abc import Sequence

import msgspec

from job_service.client.answers import Notice, read, read_notices
from job_service.client.calls.terms import Terms, given
from job_service.client.exchange import Conversation, Request
from job_service.jobs.state.views import QueueView, TypeView, WorkerView
from job_service.overview import Overview
from job_service.telemetry.history import HistoryView
from job_service.telemetry.metrics import MetricsSnapshot


class ServiceCalls(Terms):
    """Pause and resume the queue, ask what the service does and did, and back up its jobs."""

    def pause(self, job_type: str | None) -> Conversation[QueueView]:
        """`POST /queue/pause`."""
        return self._read(self._post("/queue/pause", query=given(type=job_type)), QueueView)

    def resume(self, job_type: str | None) -> Conversation[QueueView]:
        """`POST /queue/resume`."""
        return self._read(self._post("/queue/resume", query=given(type=job_type)), QueueView)

    def view(self) -> Conversation[QueueView]:
        """`GET /queue`."""
        return self._read(self._get("/queue"), QueueView)

    def types(self) -> Conversation[Sequence[TypeView]]:
        """`GET /types`."""
        return self._read(self._get("/types"), list[TypeView])

    def workers(self) -> Conversation[Sequence[WorkerView]]:
        """`GET /workers`."""
        return self._read(self._get("/workers"), list[WorkerView])

    def metrics(self) -> Conversation[MetricsSnapshot]:
        """`GET /metrics`."""
        return self._read(self._get("/metrics"), MetricsSnapshot)

    def overview(self) -> Conversation[Overview]:
        """`GET /overview`."""
        return self._read(self._get("/overview"), Overview)

    def history(self, seconds: int | None, step: int | None) -> Conversation[HistoryView]:
        """`GET /history`."""
        return self._read(self._get("/history", given(seconds=seconds, step=step)), HistoryView)

    def notices(self, limit: int | None) -> Conversation[Sequence[Notice]]:
        """`GET /notices`."""
        answer = yield from self._ask(self._get("/notices", given(limit=limit)))
        return read_notices(answer)

    def back_up(self, destination: str) -> Conversation[int]:
        """`POST /store/backup`, which is done once, however long it takes."""
        request = Request(
            method="POST",
            path="/store/backup",
            query={"to": destination},
            timeout_seconds=None,
            is_repeatable=False,
        )
        answer = yield from self._ask(request)
        backup: _Backup = read(answer, _Backup)
        return backup.bytes


class _Backup(msgspec.Struct):
    """Of `POST /store/backup`."""

    bytes: int
