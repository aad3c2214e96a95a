"""The settings of a service: each is declared here, once, with its default, range and meaning."""

import ipaddress
import math
import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from job_service.access.token_file import TokenReading, read_tokens
from job_service.access.tokens import Token
from job_service.errors import SettingsError
from job_service.jobs.state.weight import DEFAULT_QUEUE_BYTES, DEFAULT_RETAIN_BYTES
from job_service.stores.location import PostgresLocation, parse_store
from job_service.telemetry.log import LogFormatChoice, LogLevel

_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")  # as a Host header is read, without a port
_ROOT_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]+")


_SECRET = ("tokens", "store")  # which may have a password in its URL
_IN_WORDS = {
    tuple[str, ...]: "a tuple of texts",
    str: "a text",
    int: "a whole number",
    float: "a number of seconds",
    bool: "True or False",
}


class Limits(NamedTuple):
    """The least and the greatest value that a number may have."""

    least: float
    greatest: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one service, which can't be changed.

    Raises SettingsError if one is out of its range, or does not go with another, or if the file of
    tokens can't be used. Without a token a service only starts if no other machine can reach it,
    unless `no_auth` is set. A relative path is one from the working directory in which the settings
    are made.
    """

    host: Annotated[str, "Address to listen on."] = "127.0.0.1"
    port: Annotated[int, "Port; 0 takes a free one.", Limits(0, 65_535)] = 8080
    workers: Annotated[
        int, "Jobs that run at a time; with 0, only other processes run jobs.", Limits(0, 10_000)
    ] = 10
    queue_capacity: Annotated[
        int, "Jobs that may wait; more are turned away.", Limits(1, 10**9)
    ] = 1_000
    grace: Annotated[
        float, "Seconds a shutdown gives to what is queued and running.", Limits(0, 86_400)
    ] = 30.0
    store: Annotated[str, "Where jobs are kept: in memory, in a file, or in a database."] = "memory"
    max_losses: Annotated[
        int,
        "Times that a job may be in hand when its process dies, before it fails; not in memory.",
        Limits(1, 100),
    ] = 3
    lease_seconds: Annotated[
        float,
        "Seconds without a sign of life, after which others take a process's jobs; in a database.",
        Limits(1, 3_600),
    ] = 15.0
    retain: Annotated[int, "Finished jobs to keep; the oldest go.", Limits(0, 10**9)] = 10_000
    retain_seconds: Annotated[
        float | None,
        "Seconds to keep finished jobs; the older ones go. Not in memory.",
        Limits(0, 10**9),
    ] = None
    # At least as many as the largest job takes that can be submitted over HTTP.
    queue_bytes: Annotated[
        int,
        "Bytes that jobs may take which have not ended; more are turned away.",
        Limits(1024**2),
    ] = DEFAULT_QUEUE_BYTES
    retain_bytes: Annotated[int, "Bytes that finished jobs may take; the oldest go.", Limits(0)] = (
        DEFAULT_RETAIN_BYTES
    )
    unix: Annotated[str | None, "Unix socket to listen on, instead of host and port."] = None
    certfile: Annotated[str | None, "Certificate chain, PEM: serve HTTPS."] = None
    keyfile: Annotated[str | None, "Its private key, PEM; SIGHUP reloads both."] = None
    max_connections: Annotated[
        int, "Connections at a time; more are turned away.", Limits(1, 10**6)
    ] = 4_096
    max_abandoned_threads: Annotated[
        int,
        "Threads of interrupted jobs that may run on before workers wait for one to return.",
        Limits(1, 10**6),
    ] = 100
    tokens: Annotated[
        tuple[str, ...], "Bearer tokens, of which clients must send one; or NAME ROLE TOKEN."
    ] = field(default=(), repr=False)
    token_file: Annotated[
        str | None, "File with such tokens, one a line; read again when it changes."
    ] = None
    no_auth: Annotated[bool, "Let everybody in who can reach the address."] = False
    allow_host: Annotated[
        tuple[str, ...], "Host names that clients may use, besides those of this machine."
    ] = ()
    allow_origin: Annotated[
        tuple[str, ...], "Other sites whose pages may call, such as https://example.com."
    ] = ()
    root_path: Annotated[str, "Path at which a proxy has the service, such as /jobs."] = ""
    log_format: Annotated[LogFormatChoice, "auto: console on a terminal, JSON elsewhere."] = "auto"
    log_level: Annotated[
        LogLevel, "Lowest level to log; the service's own start, drain and end are always logged."
    ] = "info"
    log_file: Annotated[
        str | None, "File to append the log to, instead of stdout; SIGHUP reopens it."
    ] = None
    stall_threshold: Annotated[
        float,
        "Seconds a turn of the event loop may take before what blocks it is logged.",
        Limits(0.01, 3_600),
    ] = 0.25

    def __post_init__(self) -> None:
        for path in ("certfile", "keyfile", "log_file", "token_file"):
            self._make_absolute(path)
        for setting in fields(self):
            kind, _, *limits = get_args(setting.type)
            self._check_kind(setting.name, kind)
            if limits and getattr(self, setting.name) is not None:
                self._check_number(setting.name, kind, *limits)
        self._require("host", self.host != "", "must not be empty")
        self._require("host", "[" not in self.host, "takes an IPv6 address without brackets")
        self._require("unix", self.unix != "", "must not be empty")
        is_path = not self.root_path or _ROOT_PATH.fullmatch(self.root_path) is not None
        self._require("root_path", is_path, "takes a path such as /jobs, with no slash at its end")
        shares_store = self._locate_store()
        alone = "must be 1 or more if no other process can run the jobs"
        self._require("workers", self.workers > 0 or shares_store, alone)
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

    @property
    def accepted_tokens(self) -> tuple[Token, ...]:
        """The tokens that were given, and those that the file had when these settings were made."""
        return self.token_reading.tokens

    @cached_property
    def token_reading(self) -> TokenReading:
        """Those tokens, and how their file looked then."""
        return read_tokens(self.tokens, self.token_file)

    def _check_access(self) -> None:
        if self.accepted_tokens and self.no_auth:
            given = "token" if self.tokens else "token-file"
            raise SettingsError("no_auth", f"and --{given} can't be used together")
        if not (self.accepted_tokens or self.no_auth or self.is_local):
            raise SettingsError(
                "host",
                f"{self.host} can be reached from other machines: "
                "choose a --token, or say --no-auth to let everybody in",
            )

    def _make_absolute(self, setting: str) -> None:
        """Let it name the same file even if a handler changes the working directory."""
        path = getattr(self, setting)
        if not isinstance(path, str | PurePath):
            return
        self._require(setting, path != "", "must not be empty")
        try:
            object.__setattr__(self, setting, str(Path(path).absolute()))
        except FileNotFoundError as error:
            raise SettingsError(setting, f"{path}: the working directory is gone") from error

    def _locate_store(self) -> bool:
        """Write it with an absolute path; whether processes can share it."""
        try:
            location = parse_store(self.store)
            if isinstance(location, PostgresLocation):
                return True
            object.__setattr__(self, "store", str(location))
        except FileNotFoundError as error:
            raise SettingsError("store", f"{self.store}: the working directory is gone") from error
        except ValueError as error:
            raise SettingsError("store", str(error)) from error
        return False

    def _check_kind(self, setting: str, kind: Any) -> None:
        """Refuse what a type checker would: each letter of a text would be one of the `tokens`."""
        value = getattr(self, setting)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            shown = "" if setting in _SECRET else f", not {value!r}"
            raise SettingsError(setting, f"must be {_in_words(kind)}{shown}") from error

    def _check_number(self, setting: str, kind: Any, limits: Limits) -> None:
        value = getattr(self, setting)
        least, greatest = limits
        unit = "" if kind is int else " seconds"
        bounds = f"{least} or more" if greatest == math.inf else f"between {least} and {greatest}"
        self._require(setting, least <= value <= greatest, f"must be {bounds}{unit}")

    def _require(self, setting: str, holds: bool, otherwise: str) -> None:
        if not holds:
            value = getattr(self, setting)
            raise SettingsError(
                setting, f"{otherwise}, not {value!r}" if value != "" else otherwise
            )


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    return next(words for each, words in _IN_WORDS.items() if each in (kind, *get_args(kind)))


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
