"""The groups that this process holds, with those of their jobs that have not ended.

Nothing here has a checkpoint: that the last job of a group ends, that the group does, and that the
job which follows is made, are one act.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

import trio

from job_service.jobs.state.changes import Creation
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.group import (
    MAX_ENDED_GROUPS,
    Group,
    Standing,
    creation_of,
    end_of,
)
from job_service.jobs.state.model import TERMINAL, Job
from job_service.telemetry.events import Event

MAX_ENDED_BYTES: Final = 16 * 1024 * 1024  # of the callbacks of groups that have ended


class LiveGroup:
    """A group, how far it has come, and its jobs that have not ended, by their ids."""

    __slots__ = ("ended", "group", "standing", "unended")

    def __init__(self, group: Group, standing: Standing) -> None:
        self.group = group
        self.standing = standing
        self.unended: dict[str, Job] = {}
        self.ended = trio.Event()

    @property
    def processing(self) -> int:
        """How many of its jobs run."""
        return sum(job.status == "processing" for job in self.unended.values())


class LiveGroups:
    """Ends a group with the last of its jobs.

    `create` makes the job that follows, and `weigh` is told the bytes that its payload takes until
    then. `keep` is told the standing of a group whenever it has changed. Of groups that have ended,
    the last ones are here.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        create: Callable[[Creation], None],
        weigh: Callable[[int], None],
    ) -> None:
        self.keep: Callable[[str, Standing], object] = lambda *_: None
        self._emit = emit
        self._clock = clock
        self._create = create
        self._weigh = weigh
        self._groups: dict[str, LiveGroup] = {}
        self._ended = OrderedDict[str, int]()  # what they weigh, the one that ended first at first
        self._ended_weight = 0

    def get(self, group_id: str) -> LiveGroup | None:
        """The group, if it is here."""
        return self._groups.get(group_id)

    def open(self, group: Group, jobs: Iterable[Job]) -> None:
        """A new group has these jobs, of which some may have ended at once."""
        live = self.restore(group, Standing())
        self._emit(creation_of(group))
        self.keep(group.id, live.standing)
        ended = list[Job]()
        for job in jobs:
            live.unended[job.id] = job
            if job.status in TERMINAL:
                ended.append(job)
        for job in ended:
            self.note_end(job)

    def restore(self, group: Group, standing: Standing) -> LiveGroup:
        """A group is here that has not ended; its jobs follow."""
        live = self._groups[group.id] = LiveGroup(group, standing)
        self._weigh(group.weight)
        return live

    def join(self, job: Job) -> None:
        """A job that is restored belongs to its group, if that is here."""
        live = self._groups.get(job.group or "")
        if live is not None:
            live.unended[job.id] = job

    def note_end(self, job: Job) -> None:
        """A job of a group has ended, and with it perhaps the group, if that is here."""
        live = self._groups.get(job.group or "")
        if live is None or job.status == "abandoned":
            return
        del live.unended[job.id]
        live.standing = live.standing.after(job.status)
        if live.standing.ended == live.group.jobs:
            self._end(live)
        self.keep(live.group.id, live.standing)

    def discard(self, group_id: str) -> None:
        """Hold the group no more: it is kept elsewhere, or was never made."""
        live = self._groups.pop(group_id, None)
        if live is None:
            return
        if (weight := self._ended.pop(group_id, None)) is not None:
            self._ended_weight -= weight
        else:
            self._weigh(-live.group.weight)

    def _end(self, live: LiveGroup) -> None:
        group = live.group
        end = end_of(group, live.standing, self._clock)
        live.standing = end.standing
        self._weigh(-group.weight)
        self._ended[group.id] = group.weight
        self._ended_weight += group.weight
        self._emit(end.event)
        if end.callback is not None:
            self._create(end.callback)
        if trio.lowlevel.in_trio_run():  # else nobody is left who could wait
            live.ended.set()
        while len(self._ended) > MAX_ENDED_GROUPS or self._ended_weight > MAX_ENDED_BYTES:
            self.discard(next(iter(self._ended)))
