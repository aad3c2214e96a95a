"""Lines of a handler's own: always one whole line, whatever it logs, in the form of all others."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from job_service.json_text.nesting import MAX_DEPTH
from job_service.telemetry.events import (
    Event,
    JobFailed,
    JobRetried,
    JobStarted,
    RequestFailed,
    ServiceDraining,
    ServiceStarted,
    ServiceStopped,
)
from job_service.telemetry.log import Log, LogFormat, LogLevel
from tests.telemetry.sample import sample

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Written:
    """A log and the lines it wrote."""

    def __init__(self, **options: Any) -> None:
        self.raw: list[bytes] = []
        self.log = Log(self.raw.append, **options)

    @property
    def logger(self) -> FilteringBoundLogger:
        """The log's logger."""
        return self.log.logger

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines, each of which must be JSON in one line, with keys in their order."""
        assert not any(b"\n" in line for line in self.raw)
        return [json.loads(line) for line in self.raw]

    @property
    def only(self) -> dict[str, Any]:
        """The one line."""
        (line,) = self.lines
        return line


class Silent:
    """An object that can't even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __bool__(self) -> bool:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class Liar(Silent):
    """An object that can't even be asked what it is."""

    @property  # type: ignore[misc]  # as it should not be
    def __class__(self) -> type:
        raise RuntimeError("no")


class BrokenText(str):
    """A text whose own methods can't be called."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        """What the text would be."""
        raise RuntimeError("no")

    __format__ = __mod__ = __str__ = encode  # type: ignore[assignment]


class BrokenNumber(float):
    """A number that can't be rounded or compared."""

    __slots__ = ()

    def __round__(self, *_: Any) -> Any:
        raise RuntimeError("no")

    __ne__ = __lt__ = __str__ = __repr__ = __round__


def endless_list() -> list[Any]:
    """A list that holds itself."""
    endless: list[Any] = []
    endless.append(endless)
    return endless


def deep_list(levels: int = 100_000) -> list[Any]:
    """A list nested too deeply, by default for any encoder."""
    deep: list[Any] = []
    for _ in range(levels - 1):
        deep = [deep]
    return deep


UNENCODABLE = {
    "object": object(),
    "class": dict,
    "exception": ValueError("no"),
    "lone surrogate": "caf\udce9",
    "lone surrogate within": {"name": ["caf\udce9"]},
    "list that holds itself": endless_list(),
    "bytes": b"\xff\x00",
    "huge number": 2**100,
    "not a number": float("nan"),
    "set": {1},
    "complex": 1j,
    "object as a key": {object(): 1},
    "object that can't be shown": Silent(),
    "text that is broken": BrokenText("no"),
    "number that is broken": BrokenNumber(0.5),
    "too deep": deep_list(),
    "too deep for readers": deep_list(MAX_DEPTH + 1),
}

unencodable = pytest.mark.parametrize("value", UNENCODABLE.values(), ids=UNENCODABLE)


def test_a_line_has_the_standard_keys_first() -> None:
    """Timestamp, level and event, then what was bound, then what the call gave."""
    written = Written()
    written.logger.bind(job_id="job-1").warning("email_sent", to_domain="example.org", size=3)
    line = written.only
    assert list(line) == ["timestamp", "level", "event", "job_id", "to_domain", "size"]
    assert TIMESTAMP.fullmatch(line["timestamp"])
    assert list(line.values())[1:] == ["warning", "email_sent", "job-1", "example.org", 3]


def test_no_key_of_a_handler_hides_the_lines_own() -> None:
    """A handler's own `level` and `timestamp` are left out: the line's are what is searched by."""
    written = Written()
    written.logger.bind(level="bound").info("measured", level="given", timestamp=0, depth=2)
    line = written.only
    assert list(line) == ["timestamp", "level", "event", "depth"]
    assert TIMESTAMP.fullmatch(line["timestamp"])
    assert line["level"] == "info"


def test_binding_leaves_the_logger_it_came_from_alone() -> None:
    """What one job's logger is bound to shows in no other job's lines."""
    written = Written()
    first, second = (written.logger.bind(job_id=job_id) for job_id in ("job-1", "job-2"))
    for logger in (first, second, written.logger):
        logger.info("seen")
    assert [line.get("job_id") for line in written.lines] == ["job-1", "job-2", None]


@unencodable
def test_whatever_a_handler_logs_is_one_line(value: object) -> None:
    """A value that JSON can't carry still gives one valid line, with its timestamp and level."""
    written = Written()
    written.logger.error("odd", value=value)
    line = written.only
    assert list(line) == ["timestamp", "level", "event", "value"]
    assert TIMESTAMP.fullmatch(line["timestamp"]), line["timestamp"]
    assert (line["level"], line["event"]) == ("error", "odd")


@pytest.mark.parametrize(("levels", "kind"), [(MAX_DEPTH, list), (MAX_DEPTH + 1, str)])
def test_a_value_nested_too_deeply_is_logged_as_text(levels: int, kind: type) -> None:
    """Whoever reads the log can read all of its lines."""
    written = Written()
    written.logger.info("deep", value=deep_list(levels))
    assert isinstance(written.only["value"], kind)


@unencodable
def test_an_odd_value_leaves_its_neighbours_alone(value: object) -> None:
    """Numbers stay numbers beside a value that JSON can't carry: lines are queried by them."""
    written = Written()
    written.logger.info("odd", attempt=2, value=value, ready=True)
    assert (written.only["attempt"], written.only["ready"]) == (2, True)


@unencodable
@pytest.mark.parametrize("key", ["value", "run_seconds", "job_types", "job_type", "traceback"])
def test_whatever_a_handler_logs_can_be_read_on_the_console(key: str, value: object) -> None:
    """On the console too, no value keeps the line from coming, whatever column it belongs to."""
    written = Written(log_format="console")
    written.logger.info("odd", job_id="job-1", **{key: value})
    (text,) = written.raw
    assert b"odd" in text.splitlines()[0]


in_each_format = pytest.mark.parametrize("log_format", ["json", "console"])

# What structlog or Python would raise an error for, and what must be in the line all the same.
MISTAKES: dict[str, tuple[Callable[[FilteringBoundLogger], object], str]] = {
    "an argument that does not fit": (lambda log: log.info("%d left", None), "%d left"),
    "too few arguments": (lambda log: log.info("%s of %s", 4), "%s of %s"),
    "too many arguments": (lambda log: log.info("sent", "ada"), "ada"),
    "arguments by name, and none of that name": (
        lambda log: log.info("%(count)d left", {"size": 4}),
        "size",
    ),
    "a percent sign": (lambda log: log.info("100%", 7), "100%"),
    "an argument that can't be shown": (lambda log: log.info("%s", Silent()), "Silent"),
    "an event that can't be shown": (lambda log: log.info(Silent()), "Silent"),  # type: ignore[arg-type]
    "an event that is broken": (lambda log: log.info(BrokenText("sent"), 7), "sent"),
    "no event": (lambda log: log.info(size=4), "size"),  # type: ignore[call-arg]
    "another event": (lambda log: log.info("sent", event=4), "sent"),  # type: ignore[misc, arg-type]
    "names of the logger's own": (lambda log: log.info("sent", self=4, method_name="m"), "m"),
    "a level between two others": (lambda log: log.log(25, "sent"), "info"),
    "a level beyond all others": (lambda log: log.log(99, "sent"), "sent"),
    "the name of a level": (lambda log: log.log("warning", "sent"), "warn"),  # type: ignore[arg-type]
    "an object for a level": (lambda log: log.log(Silent(), "sent"), "sent"),  # type: ignore[arg-type]
    "no level": (lambda log: log.log(), "info"),  # type: ignore[call-arg]
    "an empty tuple for an error": (lambda log: log.error("sent", exc_info=()), "sent"),
    "a tuple without an error": (lambda log: log.error("sent", exc_info=(1, 2, 3)), "sent"),
    "an object for an error": (lambda log: log.error("sent", exc_info=Silent()), "sent"),
    "an exception without an error": (lambda log: log.exception("sent"), "sent"),  # noqa: LOG004
    "a liar as an argument": (lambda log: log.info("%s", Liar()), "Liar"),
    "a liar as a field": (lambda log: log.info("sent", run_seconds=Liar(), to=Liar()), "Liar"),
    "a liar for an error": (lambda log: log.error("sent", exc_info=Liar()), "sent"),
}


@in_each_format
@pytest.mark.parametrize(("call", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_call_of_the_log_still_gives_a_line(
    log_format: LogFormat, call: Callable[[FilteringBoundLogger], object], said: str
) -> None:
    """With all that was given. A job must not fail because of its log."""
    written = Written(log_format=log_format, level="debug")
    call(written.logger)
    (text,) = written.raw
    assert said in text.decode()


def test_arguments_that_fit_are_part_of_the_event() -> None:
    """In their order, or by name; others stay beside the event, numbers as numbers."""
    written = Written()
    written.logger.info("%d of %s", 3, "four")
    written.logger.info("%(done)d of %(all)s", {"done": 3, "all": "four"})
    written.logger.info("%d of %d", 3, None)
    first, second, third = written.lines
    assert first["event"] == second["event"] == "3 of four"
    assert "positional_args" not in first
    assert (third["event"], third["positional_args"]) == ("%d of %d", [3, None])


@pytest.mark.parametrize("exc_info", [True, 1, "yes"], ids=repr)
def test_an_error_that_is_being_handled_is_told_if_it_is_asked_for(exc_info: object) -> None:
    """As `logging` does it, with anything that says yes."""
    written = Written()
    try:
        raise ValueError("no such customer")
    except ValueError:
        written.logger.warning("mail_failed", exc_info=exc_info)
        written.logger.warning("mail_failed", exc_info=False)
    first, second = written.lines
    assert first["traceback"].endswith("ValueError: no such customer\n")
    assert "traceback" not in second


async def test_the_methods_for_asyncio_write_a_line_too() -> None:
    """In structlog they need a loop of asyncio, and there is none on Trio."""
    written = Written()
    await written.logger.ainfo("%d sent", 4, to_domain="example.org")
    await written.logger.alog(40, "sent")
    try:
        raise ValueError("no such customer")
    except ValueError:
        await written.logger.aexception("mail_failed")
    assert [line["event"] for line in written.lines] == ["4 sent", "sent", "mail_failed"]
    assert written.lines[2]["traceback"].endswith("ValueError: no such customer\n")


def test_every_method_of_structlog_s_loggers_is_there() -> None:
    """Whatever its documentation shows can be called."""
    written = Written()
    for name in ("msg", "info", "warn", "warning", "err", "error", "critical", "fatal"):
        getattr(written.logger, name)("%d sent", 4)
    assert {line["event"] for line in written.lines} == {"4 sent"}
    assert len(written.raw) == 8


def test_an_odd_key_is_one_line_too() -> None:
    """A key can be as odd as a value."""
    written = Written()
    written.logger.info("odd", **{"caf\udce9": 1})
    assert list(written.only.values())[1:] == ["info", "odd", 1]


def test_an_event_with_odd_text_is_one_line_too() -> None:
    """Text that is not UTF-8 in an event must not raise: the log would be detached for good."""
    written = Written()
    written.log.observe(sample(RequestFailed, path="/caf\udce9", error="\ud800"))
    line = written.only
    assert list(line) == ["timestamp", "level", "event", "method", "path", "error", "traceback"]
    assert line["path"].startswith("/caf")


def test_log_exception_tells_the_traceback() -> None:
    """In an except block, `log.exception` adds the traceback as text and nothing else."""
    written = Written()
    try:
        raise ValueError("no such customer")
    except ValueError:
        written.logger.exception("mail_failed", customer=7)
    line = written.only
    assert list(line) == ["timestamp", "level", "event", "traceback", "customer"]
    assert line["level"] == "error"
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert line["traceback"].endswith("ValueError: no such customer\n")


@pytest.mark.parametrize("as_tuple", [False, True], ids=["error", "tuple"])
def test_a_kept_error_can_be_logged_later(as_tuple: bool) -> None:
    """`exc_info` takes an error, or its three parts, after its except block has ended."""
    written = Written()
    error = ValueError("no such customer")
    parts = (type(error), error, error.__traceback__)
    written.logger.warning("mail_failed", exc_info=parts if as_tuple else error)
    assert written.only["traceback"].endswith("ValueError: no such customer\n")


@pytest.mark.parametrize(
    ("level", "events", "calls"),
    [
        ("debug", "info warning error", "debug info warning error critical"),
        ("info", "info warning error", "info warning error critical"),
        ("warning", "warning error", "warning error critical"),
        ("error", "error", "error critical"),
    ],
)
def test_what_is_below_the_level_is_left_out(level: LogLevel, events: str, calls: str) -> None:
    """The level holds for the service's own events and for a handler's lines alike."""
    written = Written(level=level)
    happened: list[Event] = [sample(JobStarted), sample(JobRetried), sample(JobFailed)]
    for event in happened:
        written.log.observe(event)
    assert [line["level"] for line in written.lines] == events.split()
    written.raw.clear()
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(written.logger, name)("said")
    assert [line["level"] for line in written.lines] == calls.split()


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_services_start_and_end_are_always_written(level: LogLevel) -> None:
    """One names the port that `--port 0` took, and the other is promised as the last line."""
    written = Written(level=level)
    for kind in (ServiceStarted, ServiceDraining, ServiceStopped):
        written.log.observe(sample(kind))
    events = [line["event"] for line in written.lines]
    assert events == ["service_started", "service_draining", "service_stopped"]


def test_two_logs_share_nothing() -> None:
    """Two services side by side: each has its own lines, format, level and bound keys."""
    first, second = Written(), Written(log_format="console", level="error")
    first.logger.bind(service="first").info("said")
    second.logger.info("not_said")
    second.logger.error("said", service="second")
    first.log.observe(sample(JobStarted))
    assert [line["event"] for line in first.lines] == ["said", "job_started"]
    assert len(second.raw) == 1
    assert b"first" not in second.raw[0]


def test_the_programs_own_structlog_is_left_as_it_is() -> None:
    """Building a log and writing to it changes no global configuration."""
    before = structlog.get_config().copy()
    written = Written()
    written.logger.bind(a=1).info("said")
    Written(log_format="console").log.observe(sample(JobStarted))
    assert not structlog.is_configured()
    assert structlog.get_config() == before


def test_the_programs_own_structlog_has_no_say_in_the_lines() -> None:
    """A program that configures structlog for itself gets the same lines from the service."""

    def refuse(_: WrappedLogger, __: str, ___: EventDict) -> EventDict:
        raise AssertionError("the global configuration was read")

    structlog.configure(processors=[refuse], cache_logger_on_first_use=True)
    try:
        written = Written()
        written.logger.bind(a=1).info("said")
    finally:
        structlog.reset_defaults()
    assert list(written.only) == ["timestamp", "level", "event", "a"]
