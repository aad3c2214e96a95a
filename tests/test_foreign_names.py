"""Names of other packages that we override, or that are private or undocumented, still exist.

An override that nobody calls does nothing, and there is no error. So all of them are listed here,
and their packages have an upper bound. Before you raise one, read what has changed around these
names.
"""

import ast
import importlib
import inspect
import logging
import pkgutil
import random
import selectors
import threading
import tomllib
from collections.abc import Iterator
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path

import click
import psycopg
import pytest
import quart_schema
import quart_trio
import trio
import trio_parallel
from hypercorn.config import Config
from hypercorn.protocol import events
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import TaskGroup
from hypercorn.utils import wrap_app
from packaging.requirements import Requirement
from quart_trio.wrappers import TrioRequest
from werkzeug.routing import BaseConverter, Rule

import job_service
from job_service.web.edge.tasks import RequestTask

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

CHECKED_WITH = {
    "click": "8.5",
    "hypercorn": "0.18",
    "psycopg": "3.3",
    "quart": "0.22 and 0.23",
    "quart-schema": "0.25",
    "quart-trio": "0.12 and 0.13",
    "trio": "0.35",
    "trio-parallel": "1.3",
    "werkzeug": "3.1",
}

# Each class of ours, with the foreign base class and the names that it overrides.
OVERRIDDEN: dict[str, tuple[type, set[str]]] = {
    "cli.options._Port": (click.types.IntParamType, {"convert"}),
    "cli.subcommands._FileOrRegistry": (click.Path, {"convert"}),
    "cli.parser._Serving": (click.Command, {"format_options"}),
    "cli.parser._Service": (click.Group, {"get_command", "invoke", "list_commands", "parse_args"}),
    "jobs.running.asyncio_thread.LoopThread": (threading.Thread, {"run"}),
    "jobs.running.asyncio_thread._WatchedSelector": (selectors.DefaultSelector, {"select"}),
    "jobs.running.forks.EndOfCopy": (trio.abc.Instrument, {"after_task_step"}),
    "jobs.running.processes.ShelteredProcess": (SpawnProcess, {"kill", "run", "start"}),
    "jobs.running.processes.ShelteredSpawn": (SpawnContext, {"Process"}),
    "jobs.running.process_log.RecordSender": (logging.Handler, {"emit"}),
    "testing.virtual_service._WithoutJitter": (random.Random, {"_randbelow", "random"}),
    "stores.postgres.connection.Connection": (psycopg.AsyncConnection, {"execute", "wait"}),
    "telemetry.libraries.LibraryMessages": (logging.Handler, {"emit"}),
    "telemetry.watchdog.Watchdog": (trio.abc.Instrument, {"after_io_wait", "before_io_wait"}),
    "web.app.JobServiceApp": (
        quart_trio.QuartTrio,
        {
            "asgi_http_class",
            "create_url_adapter",
            "ensure_async",
            "log_exception",
            "url_rule_class",
        },
    ),
    "web.app.MatchedRule": (Rule, {"_compile_builder"}),
    "web.asgi.IncomingRequest": (TrioRequest, {"blueprints", "body_class"}),
    "web.job_routes.JobPath": (BaseConverter, {"part_isolating", "regex"}),
    "web.openapi.document._Provider": (quart_schema.OpenAPIProvider, {"build_paths", "schema"}),
}


def our_classes() -> Iterator[tuple[str, type]]:
    """All classes of the service, with their names."""
    for found in pkgutil.walk_packages(job_service.__path__, "job_service."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            for kind in vars(module).values():
                if inspect.isclass(kind) and kind.__module__ == module.__name__:
                    yield f"{module.__name__}.{kind.__name__}".removeprefix("job_service."), kind


OUR_CLASSES = dict(our_classes())


def is_ours(kind: type) -> bool:
    """Whether it is a class of the service."""
    return kind.__module__.partition(".")[0] == "job_service"


def names_of(kind: type) -> set[str]:
    """The names it defines, without those that Python defines or calls by itself."""
    return {name for name in vars(kind) if not name.startswith("__") and name != "_abc_impl"}


def names_of_foreign_bases(kind: type) -> set[str]:
    """The names it inherits from foreign classes, but for abstract ones.

    Python itself refuses to make an object that does not override those.
    """
    return {
        name
        for base in kind.__mro__
        if not is_ours(base) and base.__module__ != "typing"
        for name in names_of(base) - getattr(base, "__abstractmethods__", set())
    }


@pytest.mark.parametrize(
    ("ours", "name"),
    [(ours, name) for ours, (_, names) in OVERRIDDEN.items() for name in sorted(names)],
)
def test_what_is_overridden_is_still_there(ours: str, name: str) -> None:
    """If the base class has renamed it, nobody calls ours any more."""
    base, _ = OVERRIDDEN[ours]
    assert issubclass(OUR_CLASSES[ours], base)
    assert name in vars(OUR_CLASSES[ours])
    assert hasattr(base, name), f"{base.__module__}.{base.__qualname__} has no {name} any more"


def test_all_that_is_overridden_is_listed() -> None:
    """A class that overrides a foreign name is in the list above, and its package has a bound."""
    found = {
        ours: names
        for ours, kind in OUR_CLASSES.items()
        if (names := names_of(kind) & names_of_foreign_bases(kind))
    }
    assert found == {ours: names for ours, (_, names) in OVERRIDDEN.items()}


@pytest.mark.slow
def test_no_class_of_ours_uses_a_private_name_that_it_inherits() -> None:
    """Ruff sees to it wherever else a private name is used, and lets those of `self` pass."""
    for ours, kind in OUR_CLASSES.items():
        if any(not is_ours(base) and base is not object for base in kind.__mro__):
            tree = ast.parse(inspect.getsource(inspect.getmodule(kind) or kind))
            used = {
                node.attr
                for body in ast.walk(tree)
                if isinstance(body, ast.ClassDef) and body.name == kind.__name__
                for node in ast.walk(body)
                if isinstance(node, ast.Attribute)
            }
            private = {name for name in used if name.startswith("_") and not name.endswith("__")}
            assert not private & names_of_foreign_bases(kind) - names_of(kind), ours


async def test_processes_can_still_be_told_how_to_start() -> None:
    """Trio-parallel has no public name for that: a context's private one, and one of its class."""
    async with trio_parallel.open_worker_context() as context:
        assert "_worker_class" in vars(context)
        assert isinstance(vars(context)["_worker_class"].mp_context, SpawnContext)


def test_hypercorn_still_has_what_requests_run_on() -> None:
    """None of them is documented: how to make a stream, what to call, and what it calls."""
    made_of = ["app", "config", "context", "task_group", "ssl", "client", "server", "send"]
    assert list(inspect.signature(HTTPStream).parameters) == [*made_of, "stream_id"]
    asked_for = {name for name in names_of(TaskGroup) if not name.startswith("_")}
    assert asked_for == {"spawn", "spawn_app"} <= names_of(RequestTask)
    assert names_of(HTTPStream) >= {"app_send", "handle"}
    told = {
        events.Request: ["stream_id", "headers", "http_version", "method", "raw_path", "state"],
        events.Response: ["stream_id", "headers", "status_code"],
        events.Body: ["stream_id", "data"],
        events.EndBody: ["stream_id"],
        events.StreamClosed: ["stream_id"],
    }
    for event, names in told.items():
        assert list(inspect.signature(event).parameters) == names
    assert {"app", "wsgi_max_body_size", "mode"} == set(inspect.signature(wrap_app).parameters)
    assert "protocol" in inspect.signature(Config.response_headers).parameters
    assert hasattr(WorkerContext(max_requests=None), "terminated")


@pytest.mark.parametrize("package", CHECKED_WITH)
def test_their_packages_have_an_upper_bound(package: str) -> None:
    """So pip never picks a version that may no longer call our overrides."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["process"], *extras["postgres"]]
    (bounds,) = (each.specifier for each in map(Requirement, wanted) if each.name == package)
    assert any(bound.operator == "<" for bound in bounds)
