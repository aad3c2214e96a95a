"""Round robin among limit keys, for jobs of one priority."""

import heapq
from collections import OrderedDict

from job_service.jobs.queueing.key_group import KeyGroup, Turn
from job_service.jobs.state.model import Job

_STALE_ENTRIES = 64  # as many as are not worth the tidying


class Ring:
    """The keys that may start a job of this priority; the first one is next."""

    def __init__(self, priority: int) -> None:
        self.groups = OrderedDict[str | None, KeyGroup]()
        self._priority = priority
        self._turns: list[tuple[Turn, str]] = []  # a heap with each key's first, and old ones

    @property
    def first_turn(self) -> Turn:
        """The first turn that any of its keys has; there must be one."""
        return self._holder_of_first()[1]

    def join(self, group: KeyGroup) -> None:
        """It comes after all others, if it does not stand here already."""
        if group.key not in self.groups:
            self.groups[group.key] = group
            self.note_turn(group)

    def leave(self, group: KeyGroup) -> None:
        """It does not stand here any more."""
        self.groups.pop(group.key, None)

    def take(self) -> tuple[Job, KeyGroup]:
        """The next job, which starts in the first turn of all, and its key, which goes to the end.

        Whoever had that turn has the one of that key instead.
        """
        holder, _ = self._holder_of_first()
        key, group = self.groups.popitem(last=False)
        job, turn = group.lanes[self._priority].take()
        if holder is not group:
            heapq.heapreplace(holder.lanes[self._priority].turns, turn)
            self.note_turn(holder)
        if group.lanes[self._priority].jobs:
            self.groups[key] = group
            self.note_turn(group)
        else:
            del group.lanes[self._priority]
        return job, group

    def discard(self, job: Job, group: KeyGroup) -> None:
        """Drop a job of one that may stand here."""
        lane = group.lanes[self._priority]
        lane.discard(job)
        if not lane.jobs:
            del group.lanes[self._priority]
            self.leave(group)
        elif group.key in self.groups:
            self.note_turn(group)

    def note_turn(self, group: KeyGroup) -> None:
        """The first turn of one that stands here may be another now."""
        heapq.heappush(self._turns, (self._turn_of(group), group.key or ""))
        if len(self._turns) > 2 * len(self.groups) + _STALE_ENTRIES:
            self._turns = [(self._turn_of(each), each.key or "") for each in self.groups.values()]
            heapq.heapify(self._turns)

    def _holder_of_first(self) -> tuple[KeyGroup, Turn]:
        while True:
            turn, key = self._turns[0]
            group = self.groups.get(key or None)
            if group is not None and self._turn_of(group) == turn:
                return group, turn
            heapq.heappop(self._turns)

    def _turn_of(self, group: KeyGroup) -> Turn:
        return group.lanes[self._priority].turns[0]
