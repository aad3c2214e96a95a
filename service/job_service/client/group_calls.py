"""The calls of groups, each as a conversation."""

import math
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import msgspec

from job_service.client.answers import read
from job_service.client.batches import Submission, line_of
from job_service.client.calls import (
    LONGEST_PAUSE_SECONDS,
    LONGEST_POLL_SECONDS,
    Calls,
    new_key,
    number_text,
)
from job_service.client.exchange import Conversation
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.views import Cancellations


class GroupCalls(Calls):
    """All calls of one client, those of groups among them."""

    def submit_group(
        self,
        submissions: Iterable[Submission],
        callbacks: Mapping[str, Submission | None],
        key: str | None,
    ) -> Conversation[GroupView]:
        """`POST /groups`."""
        jobs = [msgspec.Raw(line_of(each)) for each in submissions]
        ends = {name: msgspec.Raw(line_of(each)) for name, each in callbacks.items() if each}
        body = msgspec.json.encode({"jobs": jobs, **ends})
        return self._read(self._post("/groups", body, key or new_key()), GroupView)

    def get_group(self, group_id: str) -> Conversation[GroupView]:
        """`GET /groups/{group_id}`."""
        return self._read(self._get(_path(group_id)), GroupView)

    def wait_for_group(self, group_id: str, seconds: float | None) -> Conversation[GroupView]:
        """`GET /groups/{group_id}?wait=`, again and again."""
        left = math.inf if seconds is None else seconds
        pause = 0.0
        while True:
            wait = min(left, LONGEST_POLL_SECONDS)
            query = {"wait": number_text(wait)}
            request = self._get(_path(group_id), query, wait_seconds=wait, pause_seconds=pause)
            answer = yield from self._ask(request)
            group: GroupView = read(answer, GroupView)
            left -= answer.seconds
            if group.status != "running" or left <= 0:
                return group
            # A service that ends answers before the time is over.
            pause = min(max(wait - answer.seconds, 0.0), LONGEST_PAUSE_SECONDS, left)

    def cancel_group(self, group_id: str) -> Conversation[Cancellations]:
        """`POST /groups/{group_id}/cancel`."""
        return self._read(self._post(f"{_path(group_id)}/cancel"), Cancellations)

    def retry_group(self, group_id: str, key: str | None) -> Conversation[GroupView]:
        """`POST /groups/{group_id}/retry`."""
        request = self._post(f"{_path(group_id)}/retry", None, key or new_key())
        return self._read(request, GroupView)


def _path(group_id: str) -> str:
    return f"/groups/{quote(group_id, safe='', errors='replace')}"
