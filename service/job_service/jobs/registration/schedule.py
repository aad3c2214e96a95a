"""What a schedule is, and when it ticks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from job_service.jobs.registration.numbers import require_seconds
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS
from job_service.jobs.registration.zone import Stretch, stretches

# A change of clocks by less is one between summer and winter; by more, it corrects a wrong time.
CORRECTION: Final = timedelta(hours=3)

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
    """Ticks by the wall clock of a time zone, at the moments that Debian's cron would.

    When clocks change by less than three hours, a job at a fixed time runs once that day, as soon
    as its time has come or been skipped; one whose minutes or hours begin with `*` runs whenever
    the clocks show one of its times.

    Raises ValueError where the expression or the time zone is none, or the moment never comes.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if next(self.after(datetime.now(UTC)), None) is None:
            raise ValueError(f"{self.expression!r} never comes")

    @property
    def is_wildcard(self) -> bool:
        """Whether it is at no fixed time of the day."""
        minutes, hours = self._fields.split()[-5:-3]
        return minutes.startswith("*") or hours.startswith("*")

    @property
    def _fields(self) -> str:
        nickname = self.expression.strip().lower()
        if nickname == "@reboot":
            raise ValueError("@reboot is not known: run at the start what is to run at the start")
        return _NICKNAMES.get(nickname, self.expression)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The ticks after `moment`, in UTC, each later than the one before."""
        try:
            zone = ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"there is no time zone {self.timezone!r}") from error
        whole = moment.astimezone(UTC).replace(microsecond=0)
        self._shown_from(whole.replace(tzinfo=None))  # raises here and not at the first tick
        return self._ticks(stretches(zone, whole - CORRECTION), moment)

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
            if tick is None:  # it never comes again
                return
            reached = max(shown, stretch.last)

    def _shown_from(self, first: datetime) -> Iterator[datetime]:
        """What clocks show at its ticks, from `first` on, if they are not changed any more."""
        from cronsim import CronSim, CronSimError  # only who has a schedule waits for it

        try:
            # It is not told the zone: at the changes of some it would go round in circles.
            return CronSim(self._fields, first - timedelta(seconds=1))
        except CronSimError as error:
            raise ValueError(f"{self.expression!r} is not a cron expression: {error}") from error


@dataclass(frozen=True, slots=True)
class Every:
    """Ticks every so many seconds from the engine's start, the first time after one interval."""

    seconds: float

    def __post_init__(self) -> None:
        require_seconds("seconds", self.seconds, LONGEST_WAIT_SECONDS)

    def ticks_within(self, seconds: float) -> int:
        """How many ticks there are up to so many seconds after the start."""
        return int(seconds / self.seconds + 1e-9)  # a wake-up may be a rounding error early


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job type that is run by itself; `payload` is JSON text, and has been checked."""

    job_type: str
    payload: bytes
    times: Cron | Every
    overlap: bool
