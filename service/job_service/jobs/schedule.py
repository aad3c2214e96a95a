"""What a schedule is, and when it ticks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from job_service.jobs.numbers import require_seconds
from job_service.jobs.retry import LONGEST_WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class Cron:
    """Ticks by the wall clock of a time zone, at the moments that cron would.

    When clocks change, a job at a fixed time runs once that day, as soon as its time has come or
    been skipped; one whose minutes or hours begin with `*` goes on by elapsed time.

    Raises ValueError where the expression or the time zone is none, or the moment never comes.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if next(self.after(datetime.now(UTC)), None) is None:
            raise ValueError(f"{self.expression!r} never comes")

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The ticks after `moment`, in UTC, each later than the one before."""
        from cronsim import CronSim, CronSimError  # only who has a schedule waits for it

        try:
            zone = ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"there is no time zone {self.timezone!r}") from error
        try:
            local_ticks = CronSim(self.expression, moment.astimezone(zone))
        except CronSimError as error:
            raise ValueError(f"{self.expression!r} is not a cron expression: {error}") from error
        return _increasing(moment, local_ticks)


def _increasing(last: datetime, local_ticks: Iterator[datetime]) -> Iterator[datetime]:
    # In the hour that comes twice, the next tick by the clock on the wall may lie in the past.
    for local in local_ticks:
        tick = local.astimezone(UTC)
        if tick > last:
            yield tick
            last = tick


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
