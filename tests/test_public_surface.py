"""What programs may import, and that this is all they need: `job_service.__all__`."""

import builtins
import copy
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import job_service
from job_service import (
    AlreadyFinished,
    BatchTooLarge,
    Discard,
    JobChanged,
    JobContext,
    JobQueue,
    JobServiceError,
    JobSummary,
    NotFinished,
    NotPending,
    QueueClosed,
    QueueFull,
    Registry,
    SettingsError,
    Snooze,
    StoreUnavailable,
    TryAgainLater,
    UnknownJobType,
    UnknownSchedule,
    Unreachable,
    WaitsForJobs,
)
from job_service.client import AsyncJobClient, JobClient

ROOT = Path(__file__).parents[1]

# Names come and go on purpose only: who changes this list changes the docs and the changelog, too.
SURFACE = [
    *("AlreadyFinished", "AttemptDetail", "AttemptLog", "BackupRefused", "BatchTooLarge"),
    "Cancellations",
    *(
        "CannotListen",
        "Discard",
        "Draft",
        "GroupConflict",
        "GroupQueue",
        "GroupView",
        "IdempotencyKeyReused",
        "InvalidIdempotencyKey",
        "InvalidOption",
    ),
    *(
        "InvalidPayload",
        "JobChanged",
        "JobContext",
        "JobDetail",
        "JobFilters",
        "JobOptions",
        "JobPage",
    ),
    *("JobQueue", "JobServiceError"),
    *(
        "JobSummary",
        "LogLine",
        "MadeReady",
        "MetricsSnapshot",
        "NodeView",
        "NotFinished",
        "NotPending",
        "Progress",
        "QueueClosed",
        "QueueFull",
    ),
    *("QueueView", "Rate", "Registry", "ResourceFailed", "Retries", "Retry", "RunningService"),
    *("ScheduleView", "Schedules"),
    *("Settings", "SettingsError", "Snooze", "Status", "StoreRefused", "StoreUnavailable"),
    "TryAgainLater",
    *("TypeOptions", "TypeQueue", "TypeView", "Unauthorized", "UnexpectedAnswer", "UnknownGroup"),
    *("UnknownJob", "UnknownJobType", "UnknownPredecessor", "UnknownSchedule", "Unreachable"),
    *("UnreadableJob", "WaitsForJobs", "WorkerView"),
    *("collect_garbage_on_schedule", "host"),
]

# Its other members are for the service.
REGISTRATION = (
    *(Registry.around, Registry.cron, Registry.every, Registry.include, Registry.job),
    *(Registry.on_failure, Registry.resource),
)


def members(name: str) -> Iterator[Callable[..., Any]]:
    """The public functions behind a public name: itself, or the methods of its class."""
    public = getattr(job_service, name)
    if public is Registry:
        yield from REGISTRATION
    elif inspect.isclass(public):
        for method, function in inspect.getmembers(public, inspect.isfunction):
            is_ours = function.__module__.startswith("job_service")
            if is_ours and not method.startswith("_"):
                yield function
    elif inspect.isfunction(public):
        yield inspect.unwrap(public)


def is_exception(public: object) -> bool:
    """Whether somebody may raise it."""
    return isinstance(public, type) and issubclass(public, BaseException)


def exceptions() -> set[str]:
    """The names of all public exceptions."""
    return {name for name in SURFACE if is_exception(getattr(job_service, name))}


def test_the_surface_is_as_it_is_listed_here() -> None:
    """In the order of the alphabet, and for `dir`, too."""
    assert job_service.__all__ == SURFACE
    assert dir(job_service) == SURFACE


@pytest.mark.parametrize("name", SURFACE)
def test_each_name_can_be_imported_and_says_what_it_means(name: str) -> None:
    """In a docstring of its own, and so does each of its methods."""
    public = getattr(job_service, name)
    if get_origin(public) is not Literal:
        doc = public.__doc__ or ""
        assert doc.strip(), name
        assert all(doc != base.__doc__ for base in getattr(public, "__mro__", ())[1:]), name
        assert not doc.startswith(f"{name}("), "a dataclass would be described by its parameters"
    for function in members(name):
        assert function.__doc__, function.__qualname__


def test_the_two_clients_have_the_same_calls() -> None:
    """With the same parameters; and each call says what it does."""
    blocking, awaiting = vars(JobClient), vars(AsyncJobClient)
    calls = {name for name in blocking if not name.startswith("_")} - {"close"}
    assert calls == {name for name in awaiting if not name.startswith("_")} - {"aclose"}
    for name in calls:
        assert inspect.getdoc(blocking[name]), name
        here, there = inspect.signature(blocking[name]), inspect.signature(awaiting[name])
        assert here.parameters == there.parameters


def test_another_name_is_missing_as_from_any_module() -> None:
    """The error names the module and what is asked of it."""
    with pytest.raises(AttributeError, match="module 'job_service' has no attribute 'Worker'"):
        _ = job_service.Worker  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'Worker'"):
        exec("from job_service import Worker", {})  # noqa: S102  # else it would be found wrong


def test_one_base_class_catches_every_error_of_the_service() -> None:
    """All but Discard and Snooze, which handlers raise and the service catches."""
    ours = exceptions() - {"Discard", "Snooze"}
    assert all(issubclass(getattr(job_service, name), JobServiceError) for name in ours)
    assert not issubclass(Discard, JobServiceError)
    assert not issubclass(Snooze, JobServiceError)
    defined = vars(importlib.import_module("job_service.errors")).values()
    assert {kind.__name__ for kind in defined if is_exception(kind)} == ours


def test_one_class_catches_what_is_worth_another_try() -> None:
    """A program answers all of it with `try again later`, whichever it is."""
    later = {QueueFull, BatchTooLarge, QueueClosed, StoreUnavailable, Unreachable, TryAgainLater}
    public = {getattr(job_service, name) for name in exceptions()}
    assert {kind for kind in public if issubclass(kind, TryAgainLater)} == later


def test_an_exception_is_named_as_it_is_imported() -> None:
    """In tracebacks, too; one that a program derives from it stays that program's own."""
    assert {getattr(job_service, name).__module__ for name in exceptions()} == {"job_service"}
    own = type("OurQueueFull", (QueueFull,), {"__module__": "shop.errors"})
    assert own.__module__ == "shop.errors"


def summary() -> JobSummary:
    """Of a job that has ended."""
    now = datetime.now(UTC)
    return JobSummary(id="job-1", type="mail", status="completed", created_at=now, max_retries=5)


class OutOfStock(QueueFull):
    """One that a program derives, with parameters of its own."""

    def __init__(self, *, item: str, left: int) -> None:
        super().__init__(f"{left} of {item} left")
        self.item = item


RAISED: list[Exception] = [
    UnknownJobType("mial", ["mail"]),
    UnknownSchedule("nihgtly", ["nightly"]),
    AlreadyFinished(summary()),
    NotFinished(summary()),
    NotPending(summary()),
    JobChanged(summary()),
    WaitsForJobs(summary()),
    SettingsError("port", "must be lower"),
    Snooze(5),
    OutOfStock(item="tea", left=0),
]
RAISED += [
    getattr(job_service, name)("no luck")
    for name in sorted(exceptions() - {type(error).__name__ for error in RAISED})
]


@pytest.mark.parametrize("way", [*range(pickle.HIGHEST_PROTOCOL + 1), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_an_exception_can_be_sent_to_another_process(error: Exception, way: Any) -> None:
    """By pickle, as pools of processes and test runners do it, or copied: nothing of it is lost."""
    error.add_note("while the shop was open")
    sent = way(error) if callable(way) else pickle.loads(pickle.dumps(error, way))  # noqa: S301
    assert type(sent) is type(error)
    assert (str(sent), sent.args) == (str(error), error.args)
    assert vars(sent) == vars(error)


def raised_according_to(docstring: str) -> Iterator[str]:
    """The names of exceptions in paragraphs that say what is raised, from there on."""
    for paragraph in docstring.split("\n\n"):
        _, _, raised = " ".join(paragraph.split()).partition("Raises ")
        yield from re.findall(r"\b(?:[A-Z][a-z]+){2,}\b|\b[A-Z]\w*Error\b", raised)
        yield from exceptions().intersection(re.findall(r"\w+", raised))


def test_what_is_said_to_be_raised_can_be_caught() -> None:
    """Each exception that a docstring names is Python's own or public, and no other is public."""
    named = set[str]()
    for documented in (JobClient, *vars(JobClient).values()):
        named.update(raised_according_to(inspect.getdoc(documented) or ""))
    for name in SURFACE:
        for documented in (getattr(job_service, name), *members(name)):
            named.update(raised_according_to(inspect.getdoc(documented) or ""))
    assert named <= {*SURFACE, *vars(builtins)}
    assert exceptions() - {"Discard", "JobServiceError", "Snooze"} <= named


def our_classes(annotation: Any) -> Iterator[str]:
    """The names of the service's classes that an annotation mentions."""
    if inspect.isclass(annotation) and annotation.__module__.partition(".")[0] == "job_service":
        yield annotation.__name__
    for part in annotation if isinstance(annotation, list) else get_args(annotation):
        yield from our_classes(part)


def test_what_is_taken_and_given_can_be_named() -> None:
    """Each class of ours in the signatures and fields of the surface is a part of it."""
    annotated: list[Any] = [function for name in SURFACE for function in members(name)]
    annotated += [
        public
        for public in (getattr(job_service, name) for name in SURFACE)
        if inspect.isclass(public) and public not in (JobContext, JobQueue, Registry)
    ]
    mentioned = {
        name
        for each in annotated
        for annotation in get_type_hints(each).values()
        for name in our_classes(annotation)
    }
    assert mentioned <= set(SURFACE)
    assert {"Draft", "JobFilters", "JobOptions", "Progress", "Retry", "TypeOptions"} <= mentioned


def test_importing_the_package_loads_nothing_that_takes_long() -> None:
    """The command handles signals before it imports the rest, which takes a second."""
    script = """
import sys
before = set(sys.modules)
import job_service, job_service.start
print(*sorted(name.partition(".")[0] for name in set(sys.modules) - before))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "job_service" in loaded
    heavy = {"asyncio", "click", "hypercorn", "msgspec", "quart", "structlog", "trio", "typing"}
    assert loaded.isdisjoint(heavy)


@pytest.mark.slow
def test_a_star_gives_all_of_it() -> None:
    """Also what has not been imported so far."""
    script = "from job_service import *; print(*sorted(set(dir()) & {'Registry', 'host', 'Retry'}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["Registry", "Retry", "host"]


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("service/docs/**/*.md"))]


@pytest.mark.parametrize("name", SURFACE)
def test_each_name_is_described_on_a_page(name: str) -> None:
    """In code, between backticks, so that it can be searched for."""
    in_code = re.compile(rf"`[^`\n]*\b{name}\b[^`\n]*`")
    assert any(in_code.search(page.read_text()) for page in PAGES)


# What people copy from.
SAMPLES = [
    *PAGES,
    *sorted(ROOT.glob("service/job_service/demo/*.py")),
    *sorted(ROOT.glob("service/docs/examples/*/*.py")),
]


def web_apps() -> Iterator[str]:
    """Those samples in which an app of another framework submits jobs for its customers."""
    for path in SAMPLES:
        text = path.read_text()
        blocks = re.findall(r"```python.*?```", text, re.DOTALL) if path.suffix == ".md" else [text]
        for block in blocks:
            imported = set(re.findall(r"^from (\w+)", block, re.MULTILINE))
            if "job_service" in imported and imported & {"fastapi", "flask", "django"}:
                yield block


def test_samples_of_web_apps_answer_while_the_service_restarts() -> None:
    """Whichever of the errors comes then: a customer who sees a 500 does not come back."""
    apps = list(web_apps())
    assert len(apps) == 5
    assert all("TryAgainLater" in app and "503" in app for app in apps)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_import_from_the_package_itself(path: Path) -> None:
    """Nobody learns a longer path from them."""
    longer = re.findall(r"^ *(?:from|import) job_service\.(\S+)", path.read_text(), re.MULTILINE)
    public = {"client", "testing", "testing.plugin"}
    assert [name for name in longer if not name.startswith("demo.") and name not in public] == []
