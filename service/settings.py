"""What the operator may choose, checked once, where it is built."""

from dataclasses import dataclass
from typing import Literal

from service.telemetry.log import LogLevel

LogFormatChoice = Literal["auto", "json", "console"]


class SettingsError(ValueError):
    """A setting has a value that it can't have; `setting` is its name."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One service's settings, frozen. Raises SettingsError where one is out of its range.

    `grace` is in seconds, `queue_capacity` and `retain` in jobs; port 0 takes any free port.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 10
    queue_capacity: int = 1_000
    grace: float = 30.0
    retain: int = 10_000
    token: str | None = None
    log_format: LogFormatChoice = "auto"
    log_level: LogLevel = "info"

    def __post_init__(self) -> None:
        self._require("host", self.host != "", "must not be empty")
        self._require("port", 0 <= self.port <= 65_535, "must be between 0 and 65535")
        self._require("workers", 1 <= self.workers <= 10_000, "must be between 1 and 10000")
        self._require("queue_capacity", self.queue_capacity >= 1, "must be 1 or more")
        self._require("grace", 0 <= self.grace <= 86_400, "must be between 0 and 86400 seconds")
        self._require("retain", self.retain >= 0, "must be 0 or more")
        self._require("token", self.token != "", "must not be empty")

    def _require(self, setting: str, holds: bool, otherwise: str) -> None:
        if not holds:
            value = getattr(self, setting)
            raise SettingsError(
                setting, f"{otherwise}, not {value!r}" if value != "" else otherwise
            )
