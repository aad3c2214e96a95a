"""What an operator may choose: what holds if nothing is chosen, and what is refused."""

from dataclasses import FrozenInstanceError, asdict, fields
from pathlib import Path
from typing import Any

import pytest

from job_service.errors import SettingsError
from job_service.settings import Settings


def test_the_defaults_are_those_of_the_contract() -> None:
    """Without any choice a service is local, modest, patient and open to its own machine."""
    assert asdict(Settings()) == {
        "host": "127.0.0.1",
        "port": 8080,
        "workers": 10,
        "queue_capacity": 1_000,
        "grace": 30.0,
        "store": "memory",
        "max_losses": 3,
        "lease_seconds": 15.0,
        "retain": 10_000,
        "retain_seconds": None,
        "queue_bytes": 64 * 1024**2,
        "retain_bytes": 128 * 1024**2,
        "unix": None,
        "certfile": None,
        "keyfile": None,
        "max_connections": 4_096,
        "max_abandoned_threads": 100,
        "tokens": (),
        "token_file": None,
        "no_auth": False,
        "allow_host": (),
        "allow_origin": (),
        "root_path": "",
        "log_format": "auto",
        "log_level": "info",
        "log_file": None,
        "stall_threshold": 0.25,
    }


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("host", "localhost"),
        ("host", "127.1.2.3"),
        ("host", "::1"),
        ("unix", "s"),
        ("max_connections", 1),
        ("port", 0),
        ("port", 65_535),
        ("workers", 1),
        ("workers", 10_000),
        ("queue_capacity", 1),
        ("queue_capacity", 10**9),
        ("grace", 0.0),
        ("grace", 86_400.0),
        ("retain", 0),
        ("retain", 10**9),
        ("queue_bytes", 1024**2),
        ("queue_bytes", 10**15),
        ("retain_bytes", 0),
        ("retain_seconds", 0.0),
        ("retain_seconds", 10**9),
        ("max_losses", 1),
        ("max_losses", 100),
        ("lease_seconds", 1.0),
        ("lease_seconds", 3_600.0),
        ("store", "memory"),
        ("store", "sqlite:/srv/jobs.db"),
        ("stall_threshold", 0.01),
        ("stall_threshold", 3_600.0),
        ("allow_host", ("a.test", "localhost", "10.0.0.1", "fd00::1", "my_host-1")),
        ("root_path", "/jobs"),
        ("root_path", "/a/b-c/d_e.f~1"),
        ("root_path", "/.a/...b/..."),
        ("tokens", ("t",)),
        ("tokens", ("schlüssel", "t" * 1_000)),
        ("tokens", ("ci submit t", "a.b-c_d@e read u")),
    ],
)
def test_a_value_just_inside_its_bounds_is_taken(setting: str, value: Any) -> None:
    """The smallest and the largest value that are allowed are allowed."""
    settings = Settings(**{setting: value})
    assert getattr(settings, setting) == value


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("host", "", "must not be empty"),
        ("port", -1, "must be between 0 and 65535, not -1"),
        ("port", 65_536, "must be between 0 and 65535, not 65536"),
        ("workers", 0, "must be 1 or more if no other process can run the jobs, not 0"),
        ("workers", 10_001, "must be between 0 and 10000, not 10001"),
        ("queue_capacity", 0, "must be between 1 and 1000000000, not 0"),
        ("grace", -0.001, "must be between 0 and 86400 seconds, not -0.001"),
        ("grace", 86_400.001, "must be between 0 and 86400 seconds, not 86400.001"),
        ("grace", float("nan"), "must be between 0 and 86400 seconds, not nan"),
        ("grace", float("inf"), "must be between 0 and 86400 seconds, not inf"),
        ("retain", -1, "must be between 0 and 1000000000, not -1"),
        ("queue_bytes", 1024**2 - 1, "must be 1048576 or more, not 1048575"),
        ("retain_bytes", -1, "must be 0 or more, not -1"),
        ("retain_bytes", 0.5, "must be a whole number, not 0.5"),
        ("retain_seconds", -1, "must be between 0 and 1000000000 seconds, not -1"),
        ("retain_seconds", float("nan"), "must be between 0 and 1000000000 seconds, not nan"),
        ("max_losses", 0, "must be between 1 and 100, not 0"),
        ("max_losses", 101, "must be between 1 and 100, not 101"),
        ("max_losses", None, "must be a whole number, not None"),
        ("lease_seconds", 0.99, "must be between 1 and 3600 seconds, not 0.99"),
        ("lease_seconds", 3_601.0, "must be between 1 and 3600 seconds, not 3601.0"),
        ("store", "", "must be memory, sqlite:PATH such as sqlite:jobs.db, or postgresql://…"),
        ("store", "disk", "must be memory, sqlite:PATH such as sqlite:jobs.db, or postgresql://…"),
        ("stall_threshold", 0.0, "must be between 0.01 and 3600 seconds, not 0.0"),
        ("stall_threshold", 3_601.0, "must be between 0.01 and 3600 seconds, not 3601.0"),
        ("stall_threshold", float("nan"), "must be between 0.01 and 3600 seconds, not nan"),
        ("unix", "", "must not be empty"),
        ("log_file", "", "must not be empty"),
        ("certfile", "", "must not be empty"),
        ("host", "[::1]", "takes an IPv6 address without brackets, not '[::1]'"),
        ("port", 8080.0, "must be a whole number, not 8080.0"),
        ("workers", True, "must be a whole number, not True"),
        ("retain", "5", "must be a whole number, not '5'"),
        ("queue_capacity", 10**9 + 1, "must be between 1 and 1000000000, not 1000000001"),
        ("max_connections", 10**30, f"must be between 1 and 1000000, not {10**30}"),
        ("max_connections", 0, "must be between 1 and 1000000, not 0"),
        ("grace", "5", "must be a number of seconds, not '5'"),
        ("retain_seconds", "5", "must be a number of seconds, not '5'"),
        ("host", None, "must be a text, not None"),
        ("root_path", None, "must be a text, not None"),
        ("unix", b"x", "must be a text, not b'x'"),
        ("log_file", 5, "must be a text, not 5"),
        ("no_auth", "no", "must be True or False, not 'no'"),
        ("allow_host", "a.test", "must be a tuple of texts, not 'a.test'"),
        ("log_level", "INFO", "must be one of debug, info, warning, error, not 'INFO'"),
        ("log_format", None, "must be one of auto, json, console, not None"),
        ("tokens", "s3cret", "must be a tuple of texts"),
        ("tokens", (5,), "must be a tuple of texts"),
        ("store", None, "must be a text"),
    ],
)
def test_a_value_that_it_can_t_have_is_refused(setting: str, value: Any, message: str) -> None:
    """The error names the setting, what it may be, and what it was, if that is no secret."""
    with pytest.raises(SettingsError) as refused:
        Settings(**{setting: value})
    assert refused.value.setting == setting
    assert str(refused.value) == message


def test_settings_cannot_be_changed() -> None:
    """What was checked once stays as it was."""
    settings = Settings()
    for field in fields(settings):
        with pytest.raises(FrozenInstanceError):
            setattr(settings, field.name, getattr(settings, field.name))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.1"])  # noqa: S104
def test_others_are_let_in_only_on_purpose(host: str) -> None:
    """An address that others may reach needs a token, or the word that none is wanted."""
    with pytest.raises(SettingsError, match="can be reached from other machines") as refused:
        Settings(host=host)
    assert refused.value.setting == "host"
    assert not Settings(host=host, tokens=("t",)).is_local
    assert not Settings(host=host, no_auth=True).is_local
    assert Settings(host=host, unix="s").is_local


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"tokens": ("",)}, "token"),
        ({"tokens": ("s3cret", "s3c ret")}, "token"),
        ({"tokens": ("me read s3cret s3c",)}, "token"),
        ({"tokens": ("me admin s3cret",)}, "token"),
        ({"tokens": ("#s3cret read me",)}, "token"),
        ({"tokens": ("s3cret", "me read s3cret")}, "token"),
        ({"tokens": ("me read s3cret", "me submit s3c")}, "token"),
        ({"tokens": ("it read s3cret", "s3cret2")}, "token"),
        ({"tokens": ("_me read s3cret",)}, "token"),
        ({"tokens": ("s3cret\ud800",)}, "token"),
        ({"tokens": ("s3cret\0",)}, "token"),
        ({"tokens": ("s3cret",), "no_auth": True}, "no_auth"),
        *(({"root_path": path}, "root_path") for path in ("jobs", "/", "/a/", "//a", "/a b", "/é")),
        *(({"root_path": path}, "root_path") for path in ("/..", "/a/./b", "/../a")),
        ({"certfile": "c"}, "certfile"),
        ({"keyfile": "k"}, "certfile"),
        ({"allow_host": ("http://a.test",)}, "allow_host"),
        ({"allow_host": ("a.test:8080",)}, "allow_host"),
        ({"allow_host": ("[::1]",)}, "allow_host"),
        ({"allow_host": ("*.a.test",)}, "allow_host"),
        ({"allow_host": ("a.test.",)}, "allow_host"),
        ({"allow_host": ("A.test",)}, "allow_host"),
        ({"allow_origin": ("*",)}, "allow_origin"),
        ({"allow_origin": ("null",)}, "allow_origin"),
        ({"allow_origin": ("https://a.test/",)}, "allow_origin"),
        ({"allow_origin": ("a.test",)}, "allow_origin"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], setting: str) -> None:
    """The error names a setting, and never a token."""
    with pytest.raises(SettingsError) as refused:
        Settings(**settings)
    assert refused.value.setting == setting
    assert "s3c" not in str(refused.value)


def test_tokens_are_not_shown() -> None:
    """Whoever prints the settings does not print the tokens."""
    assert "s3cret" not in repr(Settings(tokens=("s3cret",)))


@pytest.mark.parametrize("setting", ["log_file", "certfile", "keyfile"])
def test_a_relative_path_is_one_from_where_it_was_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    """It names the same file wherever a handler makes the process go."""
    monkeypatch.chdir(tmp_path)
    pair = {"certfile": "file", "keyfile": "file"} if setting != "log_file" else {}
    chosen = Settings(**{**pair, setting: "file"})  # type: ignore[arg-type]  # each its own
    monkeypatch.chdir("/")
    assert getattr(chosen, setting) == str(tmp_path / "file")


def test_a_path_may_be_one_of_pathlib_s() -> None:
    """As wherever Python wants one."""
    assert Settings(log_file=Path("/srv/log")).log_file == "/srv/log"  # type: ignore[arg-type]


def test_a_relative_path_from_nowhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the working directory was deleted, only an absolute one can be meant."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SettingsError, match="file: the working directory is gone") as refused:
        Settings(log_file="file")
    assert refused.value.setting == "log_file"
    assert Settings(log_file="/file").log_file == "/file"
    with pytest.raises(SettingsError, match=r"jobs.db: the working directory is gone") as refused:
        Settings(store="jobs.db")
    assert refused.value.setting == "store"
    monkeypatch.chdir("/")


def test_the_file_of_a_store_is_one_from_where_it_was_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the same file wherever a handler makes the process go, and shown with its kind."""
    monkeypatch.chdir(tmp_path)
    chosen = Settings(store="jobs.db")
    monkeypatch.chdir("/")
    assert chosen.store == f"sqlite:{tmp_path}/jobs.db"


def test_the_password_of_a_store_is_not_repeated() -> None:
    """Nor is anything else of a URL that is refused."""
    with pytest.raises(SettingsError) as refused:
        Settings(store="mysql://jobs:s3cret@db.test/jobs")
    assert refused.value.setting == "store"
    assert "s3cret" not in str(refused.value)
