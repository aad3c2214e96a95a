"""When scheduled jobs run: by cron expressions or at intervals, with which payload."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import UNSET

from job_service.errors import InvalidPayload
from job_service.jobs.registration.handler import place_of
from job_service.jobs.registration.job_type import JobType, encode_payload
from job_service.jobs.registration.numbers import require_seconds
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS
from job_service.jobs.registration.zone import Stretch, stretches

# Clocks that change by less go from summer to winter or back; by more, a wrong time is corrected.
CORRECTION: Final = timedelta(hours=3)

_MINUTE: Final = timedelta(minutes=1)

_NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """Ticks by the clocks of a time zone, at the moments at which Debian's cron would.

    When the clocks change by less than three hours, a job at a fixed time runs once that day: at
    its time or, if that is skipped, at the change. A job whose minutes or hours begin with `*` runs
    whenever the clocks show one of its times.

    Raises ValueError if the expression or the time zone is invalid, or if it never ticks.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if next(self.after(datetime.now(UTC)), None) is None:
            raise ValueError(f"{self.expression!r} never ticks")

    @property
    def is_wildcard(self) -> bool:
        """Whether it has no fixed time of the day."""
        minutes, hours = self._fields.split()[-5:-3]
        return minutes.startswith("*") or hours.startswith("*")

    @property
    def _fields(self) -> str:
        nickname = self.expression.strip().lower()
        if nickname == "@reboot":
            raise ValueError("@reboot is not supported: run it where your program starts")
        return _NICKNAMES.get(nickname, self.expression)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The ticks after `moment`, in UTC, each later than the one before."""
        try:
            zone = ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"there is no time zone {self.timezone!r}") from error
        whole = moment.astimezone(UTC).replace(microsecond=0)
        self._shown_from(whole.replace(tzinfo=None))  # raises now, and not at the first tick
        return self._ticks(stretches(zone, whole - CORRECTION), moment)

    def last(self, moment: datetime) -> datetime:
        """The last tick up to `moment`. There must have been one."""
        back = _MINUTE
        while (last := next(self.after(moment - back))) > moment:
            back *= 2  # so it is not far behind the last tick that is before all that was tried
        for tick in self.after(last):
            if tick > moment:
                break
            last = tick
        return last

    def _ticks(self, unchanged: Iterator[Stretch], after: datetime) -> Iterator[datetime]:
        reached: datetime | None = None  # what clocks have shown so far
        ticks: Iterator[datetime] = iter(())
        tick: datetime | None = None
        for stretch in unchanged:
            shown = stretch.first
            if shown != reached:
                if reached is not None and not self.is_wildcard:
                    if reached < shown < reached + CORRECTION and stretch.start > after:
                        skipped = next(self._shown_from(reached), None)
                        if skipped is not None and skipped < shown:
                            yield stretch.start
                            after = stretch.start
                    elif shown < reached < shown + CORRECTION:
                        shown = reached
                ticks = self._shown_from(max(shown, stretch.shown(after)))
                tick = next(ticks, None)
            while tick is not None and tick < stretch.last:
                if stretch.moment(tick) > after:
                    yield stretch.moment(tick)
                tick = next(ticks, None)
            if tick is None:  # no tick will follow
                return
            reached = max(shown, stretch.last)

    def _shown_from(self, first: datetime) -> Iterator[datetime]:
        """What the clocks show at its ticks, from `first` on, if they don't change any more."""
        from cronsim import CronSim, CronSimError  # only programs with a schedule wait for it

        try:
            # It gets no zone, because at the changes of some it would never end.
            return CronSim(self._fields, first - timedelta(seconds=1))
        except CronSimError as error:
            raise ValueError(f"{self.expression!r} is not a cron expression: {error}") from error


@dataclass(frozen=True, slots=True)
class Every:
    """Ticks every `seconds` seconds, first one interval after the engine's start."""

    seconds: float

    def __post_init__(self) -> None:
        require_seconds("seconds", self.seconds, LONGEST_WAIT_SECONDS)

    def ticks_within(self, seconds: float) -> int:
        """How many ticks there are up to this many seconds after the start."""
        return int(seconds / self.seconds + 1e-9)  # a wake-up may be early by a rounding error


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job type runs by itself; `payload` is JSON text that its handler takes."""

    job_type: str
    payload: bytes
    times: Cron | Every
    overlap: bool


def schedule_of(job_type: JobType, payload: object, times: Cron | Every, overlap: bool) -> Schedule:
    """A schedule for `job_type`, with its default if `payload` is UNSET.

    Raises InvalidPayload if the handler does not take the payload.
    """
    try:
        text = job_type.absent_payload if payload is UNSET else encode_payload(payload)
        job_type.check_payload(text)
        job_type.limit_key(text)
    except InvalidPayload as error:
        problem = f"its handler does not take its payload: {error}"
        if payload is UNSET:
            problem = "its handler needs a payload, and the schedule has none"
        place = place_of(job_type.handler)
        raise InvalidPayload(f"schedule {job_type.name!r}: {problem}{place}") from error
    return Schedule(job_type.name, text, times, overlap)


def ticks_of(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """All ticks after this moment, as the clocks of the schedule's time zone show them.

    Those of an interval are in UTC, and come as if the service had started at this moment.
    """
    times = schedule.times
    if isinstance(times, Every):
        start, interval = after.astimezone(UTC), timedelta(seconds=times.seconds)
        return (start + number * interval for number in count(1))
    zone = ZoneInfo(times.timezone)
    return (tick.astimezone(zone) for tick in times.after(after))
