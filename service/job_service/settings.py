"""What the operator may choose, checked once, where it is built."""

import ipaddress
import re
import string
from dataclasses import dataclass, field
from pathlib import Path

from job_service.errors import SettingsError
from job_service.jobs.state.weight import DEFAULT_QUEUE_BYTES, DEFAULT_RETAIN_BYTES
from job_service.telemetry.log import LogFormatChoice, LogLevel

_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")  # as a Host header is read, without a port
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]+")
_NOT_IN_TOKENS = frozenset(string.whitespace)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One service's settings, frozen. Raises SettingsError where one is out of its range.

    `grace` and `stall_threshold` are in seconds, `queue_capacity` and `retain` in jobs; their
    bounds in bytes, `queue_bytes` and `retain_bytes`, are on payloads, results, errors and
    tracebacks. Port 0 takes any free port. `unix`, the path of a socket, takes the place of `host`
    and `port`, and `log_file` that of stdout. Without `tokens` the service can only be had where no
    other machine reaches it, unless `no_auth` says so.

    A relative path is one from the working directory in which the settings are made.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 10
    queue_capacity: int = 1_000
    grace: float = 30.0
    retain: int = 10_000
    queue_bytes: int = DEFAULT_QUEUE_BYTES
    retain_bytes: int = DEFAULT_RETAIN_BYTES
    unix: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    max_connections: int = 4_096
    max_abandoned_threads: int = 100
    tokens: tuple[str, ...] = field(default=(), repr=False)
    no_auth: bool = False
    allow_host: tuple[str, ...] = ()
    allow_origin: tuple[str, ...] = ()
    log_format: LogFormatChoice = "auto"
    log_level: LogLevel = "info"
    log_file: str | None = None
    stall_threshold: float = 0.25

    def __post_init__(self) -> None:
        self._require("host", self.host != "", "must not be empty")
        self._require("host", "[" not in self.host, "takes an IPv6 address without brackets")
        self._require_whole("port", 0, 65_535)
        self._require_whole("workers", 1, 10_000)
        self._require_whole("queue_capacity", 1, 10**9)
        self._require("grace", 0 <= self.grace <= 86_400, "must be between 0 and 86400 seconds")
        self._require_whole("retain", 0, 10**9)
        # Less would not take the largest job that can be submitted over HTTP.
        self._require("queue_bytes", self.queue_bytes >= 1024 * 1024, "must be 1 MiB or more")
        self._require("retain_bytes", self.retain_bytes >= 0, "must be 0 or more")
        self._require_whole("max_connections", 1, 10**6)
        self._require_whole("max_abandoned_threads", 1, 10**6)
        self._require(
            "stall_threshold",
            0.01 <= self.stall_threshold <= 3_600,
            "must be between 0.01 and 3600 seconds",
        )
        self._require("unix", self.unix != "", "must not be empty")
        for path in ("certfile", "keyfile", "log_file"):
            self._make_absolute(path)
        if (self.certfile is None) != (self.keyfile is None):
            raise SettingsError("certfile", "and --keyfile go together")
        self._check_access()
        for host in self.allow_host:
            if _HOST_NAME.fullmatch(host) is None and not _is_address(host):
                raise SettingsError(
                    "allow_host", f"takes host names such as jobs.example.com, not {host!r}"
                )
        for origin in self.allow_origin:
            if _ORIGIN.fullmatch(origin) is None:
                raise SettingsError(
                    "allow_origin", f"takes origins such as https://example.com, not {origin!r}"
                )

    @property
    def is_local(self) -> bool:
        """Whether no other machine can reach the service, by what it listens on."""
        return self.unix is not None or _is_loopback(self.host)

    def _check_access(self) -> None:
        if any(not token or set(token) & _NOT_IN_TOKENS for token in self.tokens):
            raise SettingsError("token", "must not be empty, nor have spaces in it")
        if any("\ud800" <= character <= "\udfff" for token in self.tokens for character in token):
            raise SettingsError("token", "must be text in UTF-8")
        if self.tokens and self.no_auth:
            raise SettingsError("no_auth", "and --token exclude each other")
        if not (self.tokens or self.no_auth or self.is_local):
            raise SettingsError(
                "host",
                f"{self.host} can be reached from other machines: "
                "choose a --token, or say --no-auth to let everybody in",
            )

    def _make_absolute(self, setting: str) -> None:
        """So that it names the same file whatever a handler makes the working directory."""
        path = getattr(self, setting)
        if path is None:
            return
        self._require(setting, path != "", "must not be empty")
        try:
            object.__setattr__(self, setting, str(Path(path).absolute()))
        except FileNotFoundError as error:
            raise SettingsError(setting, f"{path}: the working directory is gone") from error

    def _require_whole(self, setting: str, lowest: int, highest: int) -> None:
        value = getattr(self, setting)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        self._require(setting, is_whole, "must be a whole number")
        self._require(
            setting, lowest <= value <= highest, f"must be between {lowest} and {highest}"
        )

    def _require(self, setting: str, holds: bool, otherwise: str) -> None:
        if not holds:
            value = getattr(self, setting)
            raise SettingsError(
                setting, f"{otherwise}, not {value!r}" if value != "" else otherwise
            )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # RFC 6761, section 6.3
