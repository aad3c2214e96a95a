"""The calls about groups."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from urllib.parse import quote

import msgspec

from job_service.client.answers import GROUP_CONFLICT, problem_in, read
from job_service.client.calls.terms import Terms
from job_service.client.encoding import Submission, line_of, new_key
from job_service.client.exchange import Answer, Conversation
from job_service.jobs.state.group import GroupView
from job_service.jobs.state.views import Cancellations


class GroupCalls(Terms):
    """Submit a group, see how far it has come, cancel it, run it again."""

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
        return self._wait(_path(group_id), seconds, _read_group, _has_ended)

    def cancel_group(self, group_id: str) -> Conversation[Cancellations]:
        """`POST /groups/{group_id}/cancel`."""
        answer = yield from self._ask(self._post(f"{_path(group_id)}/cancel"))
        is_conflict = problem_in(answer).type == GROUP_CONFLICT
        if answer.may_be_second and (is_conflict or answer.status == HTTPStatus.OK):
            # What the first request did, this answer does not tell. The group does.
            group = yield from self.get_group(group_id)
            if group.cancelled or not is_conflict:
                return Cancellations(cancelled=group.cancelled, interrupted=group.processing)
        done: Cancellations = read(answer, Cancellations)
        return done

    def retry_group(self, group_id: str, key: str | None) -> Conversation[GroupView]:
        """`POST /groups/{group_id}/retry`."""
        request = self._post(f"{_path(group_id)}/retry", None, key or new_key())
        return self._read(request, GroupView)


def _path(group_id: str) -> str:
    return f"/groups/{quote(group_id, safe='', errors='replace')}"


def _read_group(answer: Answer) -> GroupView:
    group: GroupView = read(answer, GroupView)
    return group


def _has_ended(group: GroupView) -> bool:
    return group.status != "running"
