"""What can be asked for on the command line, and the one line that tells what can't."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest

from job_service.access.tokens import Token
from job_service.cli.parser import read_command_line
from job_service.main import main
from job_service.settings import Settings

# Each setting: a text for it, what that means, and another text that is allowed.
SETTINGS: list[tuple[str, str, object, str]] = [
    ("host", "localhost", "localhost", "::1"),
    ("port", "0", 0, "9000"),
    ("workers", "3", 3, "4"),
    ("queue_capacity", "50", 50, "60"),
    ("grace", "0.5", 0.5, "7"),
    ("store", "sqlite:/srv/jobs.db", "sqlite:/srv/jobs.db", "memory"),
    ("max_losses", "1", 1, "2"),
    ("lease_seconds", "2.5", 2.5, "30"),
    ("retain", "0", 0, "1"),
    ("retain_seconds", "86400", 86_400.0, "0.5"),
    ("queue_bytes", "2097152", 2_097_152, "3MiB"),
    ("retain_bytes", "64 kib", 65_536, "1GiB"),
    ("unix", "service.sock", "service.sock", "other.sock"),
    ("max_connections", "5", 5, "6"),
    ("max_abandoned_threads", "5", 5, "6"),
    ("tokens", "it submit secret, me read other", ("it submit secret", "me read other"), "other"),
    ("allow_host", "a.test,B.test", ("a.test", "b.test"), "other"),
    ("allow_origin", "https://a.test", ("https://a.test",), "other"),
    ("root_path", "/jobs", "/jobs", "/other"),
    ("log_format", "console", "console", "json"),
    ("log_level", "debug", "debug", "error"),
    ("stall_threshold", "0.5", 0.5, "nan"),
    ("log_file", "/log/service", "/log/service", "/log/other"),
]

each_setting = pytest.mark.parametrize(
    ("setting", "text", "value", "other"), SETTINGS, ids=[setting for setting, *_ in SETTINGS]
)

ONE_JOB_TYPE = """
from job_service import Registry

registry = Registry()

@registry.job("{name}")
async def handler(payload: str) -> None: ...
"""

# Modules that can't be served, and what is said of each.
UNUSABLE_MODULES = {
    "absent": (None, "ModuleNotFoundError: No module named 'myjobs'; it is neither installed"),
    "needs what is not installed": ("import nowhere", "No module named 'nowhere' (/"),
    "no Python": ("def (", "SyntaxError"),
    "raises": ("raise RuntimeError('no\\nluck')", "RuntimeError: no luck"),
    "exits": ("raise SystemExit('bye')", "SystemExit"),
    "registers twice": (
        ONE_JOB_TYPE.format(name="a") + 'registry.job("a")(handler)',
        "there is already a job type 'a'",
    ),
    "has no such name": ("", "myjobs has no Registry named 'registry'"),
    "has something else of that name": (
        "registry = {}",
        "myjobs has no Registry named 'registry': it is a dict",
    ),
    "has one of another name": (
        ONE_JOB_TYPE.format(name="a").replace("registry", "regsitry"),
        "myjobs has no Registry named 'registry'; did you mean regsitry?",
    ),
    "raises when it is asked": (
        "def __getattr__(name):\n    raise RuntimeError('no luck')",
        "RuntimeError: no luck (",
    ),
    "is no text": ("\0", "myjobs.py:1)"),
    "belongs to a package": ("from . import other", "name the module with its package"),
}

WriteModule = Callable[[str, str], None]


def flag(setting: str) -> str:
    """The flag of a setting."""
    return "--token" if setting == "tokens" else f"--{setting.replace('_', '-')}"


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return "JOB_SERVICE_" + flag(setting)[2:].replace("-", "_").upper()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment that says nothing to the service."""
    for name in list(os.environ):
        if name.startswith("JOB_SERVICE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WriteModule]:
    """Writes modules, by name and source, into what is the working directory meanwhile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    known = set(sys.modules)

    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)

    yield write
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def refusal(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `main` says if it can't do what is asked: one line on stderr, exit status 2."""
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    said = capfd.readouterr()
    assert exited.value.code == 2
    assert said.out == ""
    return only_line(said.err)


def only_line(stderr: str) -> str:
    """The one line that was said, without what all such lines begin with."""
    assert stderr.startswith("job-service: ")
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1, stderr
    return stderr.removeprefix("job-service: ").rstrip("\n")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A real `python -m job_service` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "job_service", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_without_a_word_the_defaults_hold_and_the_demo_jobs_are_served() -> None:
    """`job-service` alone serves, so that it can be tried out."""
    command = read_command_line([])
    settings, registry = command.settings, command.registry
    assert settings == Settings()
    assert registry.names == ["count_words", "echo", "fail", "flaky", "sleep"]


def test_every_setting_can_be_chosen() -> None:
    """There is no setting without a flag; four need company or a file, and come below."""
    chosen = {setting for setting, *_ in SETTINGS} | {
        "certfile",
        "keyfile",
        "no_auth",
        "token_file",
    }
    assert chosen == {field.name for field in fields(Settings)}


def test_a_certificate_and_its_key_are_chosen_together() -> None:
    """Either of them alone is a mistake."""
    settings = read_command_line(["--certfile", "/c.pem", "--keyfile", "/k.pem"]).settings
    assert (settings.certfile, settings.keyfile) == ("/c.pem", "/k.pem")


def test_everybody_can_be_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--no-auth` is a flag without a value, and so is its variable."""
    everywhere = ["--host", "0.0.0.0"]  # noqa: S104
    assert read_command_line([*everywhere, "--no-auth"]).settings.no_auth
    monkeypatch.setenv("JOB_SERVICE_NO_AUTH", "1")
    assert read_command_line(everywhere).settings.no_auth


def test_tokens_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a line, beside those of the flag. The file may be named by a variable, too."""
    file = tmp_path / "tokens"
    file.write_text("secret\n\n another \n")
    settings = read_command_line(["--token", "third", "--token-file", str(file)]).settings
    assert [token.secret for token in settings.accepted_tokens] == ["third", "secret", "another"]
    monkeypatch.setenv("JOB_SERVICE_TOKEN_FILE", str(file))
    assert read_command_line(["--token", "third"]).settings == settings


def test_tokens_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As those of a password store do, in `--token-file <(pass show jobs)`."""
    reading, writing = os.pipe()
    os.write(writing, b"secret\n")
    os.close(writing)
    try:
        settings = read_command_line(["--token-file", f"/dev/fd/{reading}"]).settings
    finally:
        os.close(reading)
    assert [token.secret for token in settings.accepted_tokens] == ["secret"]


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The start would hang without a word."""
    os.mkfifo(tmp_path / "tokens")
    said = refusal(capfd, "--token-file", str(tmp_path / "tokens"))
    assert said == f"--token-file {tmp_path}/tokens: there is no token in it"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("me read s3cret\n\nyou read", "line 3 must be a token, or NAME ROLE TOKEN"),
        ("me read s3cret\r\nyou s3cret2 read", "line 2 must have a role that is one of read"),
        ("s3cret\n_me read s3cret2", "line 2 must have a name of 1 to 64 letters, digits"),
        (
            "_me read s3cret",
            "line 1 must have a name of 1 to 64 letters, digits and . _ @ -, begin",
        ),
        ("#\nme read s3cret\ns3cret2", "line 3 must be NAME ROLE TOKEN, because other lines are"),
        ("s3cret2\nme read s3cret", "line 1 must be NAME ROLE TOKEN, because other lines are"),
        ("me read s3c\0ret", "line 1 must be text in UTF-8, without control characters"),
        ("me read s3c\x0bret", "line 1 must be a token, or NAME ROLE TOKEN"),
        ("me read s3cret\rs3cret2", "line 1 must be a token, or NAME ROLE TOKEN"),
        ("me read s3cret\n\nyou submit s3cret", "line 3 has the same token as line 1"),
        ("it read s3cret\nme read s3cret2\nme read s3cret3", "line 3 has the same name as line 2"),
    ],
)
def test_a_mistake_in_the_token_file_is_told_by_its_line(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, lines: str, why: str
) -> None:
    """And never by what is written there, which may be a token in the wrong place."""
    file = tmp_path / "tokens"
    file.write_text(lines, newline="")
    said = refusal(capfd, "--token-file", str(file))
    assert said.startswith(f"--token-file {file}: {why}")
    assert "s3cret" not in said


def test_a_token_file_may_have_comments_and_a_mark_of_its_encoding(tmp_path: Path) -> None:
    """As editors write it; none of it becomes a token."""
    file = tmp_path / "tokens"
    file.write_bytes(b"\xef\xbb\xbfme read #1\r\n\r\n  # revoked: you read old\n#todo\n")
    settings = read_command_line(["--token-file", str(file)]).settings
    assert settings.accepted_tokens == (Token("#1", "read", "me"),)


@pytest.mark.parametrize("path", ["/dev/zero", "/"])
def test_what_is_no_token_file_is_not_read(capfd: pytest.CaptureFixture[str], path: str) -> None:
    """A device has no end, and a folder has no text. No file stays open after it."""
    before = len(list(Path("/dev/fd").iterdir()))
    said = refusal(capfd, "--token-file", path)
    assert said == f"--token-file {path}: must be a file or a pipe"
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_token_is_given_in_one_place_only(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Or nobody could say which role it has."""
    file = tmp_path / "tokens"
    file.write_text("me read s3cret")
    said = refusal(capfd, "--token", "s3cret", "--token-file", str(file))
    assert said == "--token-file must not give the same token twice"


@pytest.mark.parametrize(
    "content", [None, b"", b"\n \n", b"\xff\xfe", b"# s3cret\n", b"x" * 1024**2 + b"\n"]
)
def test_a_token_file_of_no_use_is_refused(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    """A file that is absent, empty, huge or unreadable must not leave the service open."""
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
    said = refusal(capfd, "--token-file", str(file))
    assert said.startswith(f"--token-file {file}: ")
    assert "s3cret" not in said


@each_setting
def test_a_flag_sets_its_setting_and_no_other(
    setting: str, text: str, value: object, other: str
) -> None:
    """What a flag says holds, and the defaults hold for the rest."""
    settings = read_command_line([flag(setting), text]).settings
    assert settings == Settings(**{setting: value})  # type: ignore[arg-type]  # of each its own


@each_setting
def test_an_environment_variable_sets_what_its_flag_does(
    monkeypatch: pytest.MonkeyPatch, setting: str, text: str, value: object, other: str
) -> None:
    """Every flag has a variable, named after it."""
    monkeypatch.setenv(variable(setting), text)
    settings = read_command_line([]).settings
    assert settings == Settings(**{setting: value})  # type: ignore[arg-type]  # of each its own


@each_setting
def test_a_flag_wins_over_its_environment_variable(
    monkeypatch: pytest.MonkeyPatch, setting: str, text: str, value: object, other: str
) -> None:
    """If both are given, the flag holds."""
    monkeypatch.setenv(variable(setting), other)
    settings = read_command_line([flag(setting), text]).settings
    assert getattr(settings, setting) == value


def test_modules_of_the_working_directory_can_be_served(
    monkeypatch: pytest.MonkeyPatch, write_module: WriteModule
) -> None:
    """`--jobs` names a registry beside which the service is started, and can be repeated."""
    write_module("myjobs", ONE_JOB_TYPE.format(name="mine"))
    write_module("yourjobs", ONE_JOB_TYPE.format(name="yours"))
    registry = read_command_line(
        ["--jobs", "myjobs:registry", "--jobs", "yourjobs:registry"]
    ).registry
    assert registry.names == ["mine", "yours"]

    monkeypatch.setenv("JOB_SERVICE_JOBS", "myjobs:registry yourjobs:registry")
    assert read_command_line([]).registry.names == ["mine", "yours"]
    assert read_command_line(["--jobs", "yourjobs:registry"]).registry.names == ["yours"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "many"], "Invalid value for '--port': 'many' is not a valid integer."),
        (["--port", "65536"], "--port must be between 0 and 65535, not 65536"),
        (["--workers", "0"], "--workers must be 1 or more if no other process can run the jobs"),
        (["--workers", "-1"], "--workers must be between 0 and 10000, not -1"),
        (["--workers", "1.5"], "Invalid value for '--workers': '1.5' is not a valid integer."),
        (["--queue-capacity", "0"], "--queue-capacity must be between 1 and 1000000000, not 0"),
        (["--grace", "soon"], "Invalid value for '--grace': 'soon' is not a valid float."),
        (["--grace", "nan"], "--grace must be between 0 and 86400 seconds, not nan"),
        (["--retain", "-1"], "--retain must be between 0 and 1000000000, not -1"),
        (["--queue-bytes", "1KiB"], "--queue-bytes must be 1048576 or more, not 1024"),
        (["--retain-bytes", "-1"], "'-1' is not a number of bytes, such as 268435456 or 256MiB"),
        (["--retain-bytes", "1.5GiB"], "'1.5GiB' is not a number of bytes"),
        (["--host", ""], "--host must not be empty"),
        (["--token", ""], "--token must be a token, or NAME ROLE TOKEN with spaces between"),
        (["--token", "a,"], "--token must be a token, or NAME ROLE TOKEN with spaces between"),
        (["--token", "me root a"], "--token must have a role that is one of read, submit, operate"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from other machines"),  # noqa: S104
        (["--no-auth", "--token", "secret"], "--no-auth and --token can't be used together"),
        (["--keyfile", "k.pem"], "--certfile and --keyfile go together"),
        (["--log-format", "xml"], "'xml' is not one of 'auto', 'json', 'console'"),
        (["--log-level", "a\nb"], "'--log-level': 'a\\nb' is not one of 'debug', 'info'"),
        (["--speed", "9"], "No such option"),
        (["--workers"], "'--workers' requires an argument"),
        (["run"], "No such command 'run'."),
        (["serve", "now"], "Got unexpected extra argument (now)"),
        (["serve", "--port", "many"], "'many' is not a valid integer"),
        (["--reload", "demo"], "--reload is for serve"),
        (["demo", "--speed", "9"], "No such option"),
        (["demo", "now"], "Got unexpected extra argument (now)"),
        (["vocabulary", "--port", "9000"], "No such option"),
        (["--log-file", ""], "--log-file must not be empty"),
        (["--log-file", "/nowhere/log"], "--log-file /nowhere/log: No such file or directory"),
        (["--token-file", "/nowhere/t"], "--token-file /nowhere/t: No such file or directory"),
        (["--log-file", "/"], "--log-file /: Is a directory"),
        (["--jobs", "myjobs"], "must be MODULE:NAME"),
        (["--jobs", ":registry"], "must be MODULE:NAME"),
        (["--jobs", "myjobs:"], "must be MODULE:NAME"),
        (["--jobs", ".myjobs:registry"], "must be MODULE:NAME"),
        (["--jobs", "./myjobs.py:registry"], "must be MODULE:NAME"),
        (["--jobs", "myjobs:a:b"], "must be MODULE:NAME"),
        (["--jobs", "nojobs.py:registry"], "name the module and not its file: nojobs"),
        (["--jobs", "my\njobs"], "must be MODULE:NAME"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """A bad flag or value is named on stderr, in one line, with exit status 2."""
    assert said in refusal(capfd, *arguments)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("JOB_SERVICE_PORT", "tcp://10.0.0.1:80", "Invalid value for 'JOB_SERVICE_PORT': 'tcp://"),
        ("JOB_SERVICE_WORKERS", "0", "JOB_SERVICE_WORKERS must be 1 or more"),
        ("JOB_SERVICE_LOG_LEVEL", "loud", "Invalid value for 'JOB_SERVICE_LOG_LEVEL': 'loud' is"),
        ("JOB_SERVICE_JOBS", "myjobs", "JOB_SERVICE_JOBS 'myjobs': must be MODULE:NAME"),
        ("JOB_SERVICE_TOKEN_FILE", "/nowhere/t", "JOB_SERVICE_TOKEN_FILE /nowhere/t: "),
    ],
)
def test_a_bad_value_of_the_environment_is_told_by_its_variable(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    said: str,
) -> None:
    """Whoever set it there, or did not know of it, would search for the flag in vain."""
    monkeypatch.setenv(variable, value)
    assert refusal(capfd).startswith(said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "a\x1b]0;b\x07\u202ec"],
        ["--unix", "/nowhere/a\x1b]0;b\x07\u202ec"],
        ["--jobs", "a\x1b]0;b\x07\u202ec:registry"],
        ["--a\x1b]0;b\x07\u202ec"],
    ],
    ids=["address", "path", "module", "flag"],
)
def test_a_bad_value_can_t_speak_to_the_terminal(
    capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Its control characters are shown as escapes, and so are those that nobody sees."""
    said = refusal(capfd, *arguments)
    assert said.isprintable()
    assert r"a\x1b]0;b\x07\u202ec" in said


def test_a_port_that_kubernetes_has_set_is_told_as_such(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do about it; nobody has set it by hand."""
    monkeypatch.setenv("JOB_SERVICE_PORT", "tcp://10.0.0.1:80")
    said = refusal(capfd)
    assert "Kubernetes" in said
    assert "enableServiceLinks" in said


def test_a_variable_that_is_no_setting_is_told_and_ignored(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line on stderr, and the service starts as if it were not there."""
    monkeypatch.setenv("JOB_SERVICE_PROT", "80")
    monkeypatch.setenv("JOB_SERVICE_SERVICE_HOST", "10.0.0.1")
    assert read_command_line([]).settings == Settings()
    said = only_line(capfd.readouterr().err)
    assert (
        said == "JOB_SERVICE_PROT is not a setting, and is ignored: did you mean JOB_SERVICE_PORT?"
    )


# What goes wrong in the last line of a module, and in it only.
MISTAKES = {
    "in its text": "def (",
    "in its indentation": "if True:\nx = 1",
    "a missing import": "import nowhere",
    "a missing name in one": "from os import nowhere",
    "a misspelled name": "regsitry.job",
    "in the standard library": "import json; json.loads('{')",
    "in what is installed": "import msgspec; msgspec.json.decode('{')",
    "deep in what is installed": "import structlog; structlog.wrap_logger(0, processors=1).info(1)",
    "in ours": "registry.job('x', timeout='soon')",
    "a handler that can't be one": "registry.job('x')(print)",
    "a handler with a place of its own": "registry.job('x')(lambda a, b: 0)",
    "a text that is no code": "eval('1 +')",
    "any exception": "class Panic(BaseException): ...\nraise Panic",
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_module_is_told_by_its_own_file_and_line(
    capfd: pytest.CaptureFixture[str], write_module: WriteModule, mistake: str
) -> None:
    """Not by that of a library, nor of ours, in which it came to light."""
    source = ONE_JOB_TYPE.format(name="a") + "\n" + mistake
    write_module("mistaken", source)
    write_module("myjobs", "import mistaken\n\nregistry = mistaken.registry")
    for module in ("mistaken", "myjobs"):
        line = refusal(capfd, "--jobs", f"{module}:registry")
        assert re.search(rf"\(\S*mistaken\.py:{len(source.splitlines())}\)$", line), line
        assert line.count("mistaken.py") == 1


def test_a_registry_may_be_within_something_else(write_module: WriteModule) -> None:
    """Its name has dots then."""
    write_module("myjobs", ONE_JOB_TYPE.format(name="a") + "\nclass App:\n    jobs = registry")
    assert read_command_line(["--jobs", "myjobs:App.jobs"]).registry.names == ["a"]


@pytest.mark.parametrize(("source", "said"), UNUSABLE_MODULES.values(), ids=UNUSABLE_MODULES)
def test_a_module_that_cannot_be_served_is_told_in_one_line(
    capfd: pytest.CaptureFixture[str], write_module: WriteModule, source: str | None, said: str
) -> None:
    """Whatever a module of the user's does, the line names it and says what was wrong."""
    if source is not None:
        write_module("myjobs", source)
    line = refusal(capfd, "--jobs", "myjobs:registry")
    assert line.startswith("--jobs myjobs:registry: ")
    assert said in line


def test_a_job_type_that_two_registries_have_is_told_in_one_line(
    capfd: pytest.CaptureFixture[str], write_module: WriteModule
) -> None:
    """Two handlers for one job type can't both be meant."""
    write_module("myjobs", ONE_JOB_TYPE.format(name="echo"))
    names = ["--jobs", "job_service.demo.job_types:registry", "--jobs", "myjobs:registry"]
    assert refusal(capfd, *names) == "--jobs myjobs:registry: there is already a job type 'echo'"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "9000", "--workers", "3", "demo"],
        ["--port", "9000", "demo", "--workers", "3"],
        ["demo", "--port=9000", "--workers", "3"],
    ],
    ids=["before", "around", "after"],
)
def test_the_demo_takes_the_options_of_the_service(arguments: list[str]) -> None:
    """They go before the word or after it, and it brings its own job types and work to do."""
    command = read_command_line(arguments)
    assert command.settings == Settings(port=9000, workers=3)
    assert "charge_card" in command.registry.names
    assert command.workload is not None
    assert read_command_line([]).workload is None


def test_the_demo_takes_no_other_job_types(capfd: pytest.CaptureFixture[str]) -> None:
    """Its work to do is for its own."""
    said = refusal(capfd, "--jobs", "job_service.demo.job_types:registry", "demo")
    assert said == "demo has job types of its own, and takes no --jobs"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {"JOB_SERVICE_GRACE": "-1"}, "JOB_SERVICE_GRACE must be between 0 and 86400 seconds"),
        (["--host", "not..a.host", "--no-auth"], {}, "can't listen on not..a.host port 0: "),
    ],
)
def test_a_real_process_tells_it_in_one_line(
    arguments: list[str], environment: dict[str, str], said: str
) -> None:
    """`python -m job_service` ends with status 2, one line on stderr, and an empty log."""
    ended = run("--port", "0", *arguments, **environment)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert said in only_line(ended.stderr)


@pytest.mark.slow
def test_a_busy_port_is_told_in_one_line() -> None:
    """If another program listens already, the line names the address, and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run("--port", str(port))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert only_line(ended.stderr) == (
        f"can't listen on 127.0.0.1 port {port}: Address already in use; "
        "choose another --port, or 0 for any free one"
    )


def test_help_names_every_flag(capfd: pytest.CaptureFixture[str]) -> None:
    """`--help` prints all that can be chosen, with its meaning, and is no error."""
    with pytest.raises(SystemExit) as exited:
        main(["--help"])
    said = capfd.readouterr()
    assert (exited.value.code, said.err) == (0, "")
    for setting in (*(setting for setting, *_ in SETTINGS), "jobs"):
        assert flag(setting) in said.out
    for field in fields(Settings):
        if field.name != "tokens":  # of which one text may have several
            _, meaning, *_ = get_args(field.type)
            assert meaning in " ".join(said.out.split())
    assert 'default: ""' not in said.out
    assert "..." not in said.out.partition("Commands:")[2], "a summary is cut"


@pytest.mark.parametrize(
    "arguments", [["serve", "--port", "9000"], ["--port", "9000", "serve"], ["--port", "9000"]]
)
def test_the_word_serve_may_be_left_out(arguments: list[str]) -> None:
    """It takes the options before it and after it."""
    command = read_command_line(arguments)
    assert (command.settings.port, len(command.registry.names)) == (9000, 5)


def test_help_of_serve_is_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """It names the options of a service, and the one that is its own."""
    with pytest.raises(SystemExit) as exited:
        main(["serve", "--help"])
    said = capfd.readouterr()
    assert (exited.value.code, said.err) == (0, "")
    for option in ("--reload", "--jobs", "--port", "--help"):
        assert f"  {option} " in said.out


@pytest.mark.parametrize("word", ["serve", "demo"])
def test_a_job_type_may_have_the_name_of_a_command(
    capfd: pytest.CaptureFixture[str], word: str
) -> None:
    """Only the first word is a command."""
    said = refusal(capfd, "submit", word, "{", "--wait")
    assert said.startswith("the payload is not JSON")


@pytest.mark.parametrize(
    "arguments", [["demo", "--help"], ["--port", "many", "demo", "--grace", "5", "--help"]]
)
def test_help_of_the_demo_is_its_own(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """It says what the demo is, and names the options that it takes, whatever else is wrong."""
    monkeypatch.setenv("JOB_SERVICE_PORT", "many")
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    said = capfd.readouterr()
    assert (exited.value.code, said.err) == (0, "")
    assert " demo [OPTIONS]\n\n  Serve a make-believe shop" in said.out
    for setting, *_ in SETTINGS:
        assert flag(setting) in said.out
    assert "--help" in said.out
    assert "--jobs" not in said.out


def test_help_of_the_vocabulary_is_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """It names `--schema`, and no option of a service."""
    with pytest.raises(SystemExit) as exited:
        main(["vocabulary", "--help"])
    said = capfd.readouterr()
    assert (exited.value.code, said.err) == (0, "")
    assert " vocabulary [OPTIONS]\n\n  Print every event" in said.out
    assert "--schema" in said.out
    assert "--port" not in said.out


@pytest.mark.parametrize("command", [[], ["demo"]], ids=["service", "demo"])
@pytest.mark.parametrize("ignored", [["--port", "9000"], ["--host", "localhost"]], ids=" ".join)
def test_a_unix_socket_needs_no_address(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ignored: list[str],
    command: list[str],
) -> None:
    """Who gives one, too, would wait in vain for clients there."""
    said = refusal(capfd, "--unix", "service.sock", *command, *ignored)
    assert said == f"{ignored[0]} and --unix can't be used together"
    monkeypatch.setenv("JOB_SERVICE_UNIX", "service.sock")
    said = refusal(capfd, *ignored, *command)
    assert said == f"{ignored[0]} and JOB_SERVICE_UNIX can't be used together"


def test_an_option_wins_over_an_address_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which may be there for all services of a machine or an image."""
    monkeypatch.setenv("JOB_SERVICE_PORT", "9000")
    assert read_command_line(["--unix", "service.sock"]).settings.unix == "service.sock"


@pytest.mark.slow
def test_version_is_the_installed_one() -> None:
    """`--version` prints the version of the package, and is no error."""
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert version("trio-job-service") in ended.stdout


def test_an_empty_token_in_the_environment_is_refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that was left empty must not leave the service open."""
    monkeypatch.setenv("JOB_SERVICE_TOKEN", "")
    assert refusal(capfd) == "JOB_SERVICE_TOKEN must not be empty"


@pytest.mark.slow
def test_a_service_without_a_stdout_does_not_start() -> None:
    """Its log would go nowhere."""
    command = f"exec {sys.executable} -m job_service --port 0 >&-"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert only_line(ended.stderr) == "stdout is closed, and it is where the log goes"
