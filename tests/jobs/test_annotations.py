"""Annotations that can't be evaluated, whether Python does it late or never: a module's users."""

import sys
from typing import Any

import pytest

from job_service.jobs.registration.registry import Registry

NEVER = "from __future__ import annotations\n"
LATE = ""  # which before 3.14 ends the module itself, as the annotation is evaluated at once
HOW = [NEVER, LATE] if sys.version_info >= (3, 14) else [NEVER]

MODULE = """
from collections.abc import AsyncIterator

async def send(email: NoSuchType) -> None: ...

async def pool() -> AsyncIterator[OnlyForTypeCheckers]:
    yield
"""


@pytest.fixture(params=HOW, ids=["never", "late"][: len(HOW)])
def module(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What is in the module."""
    names: dict[str, Any] = {"__name__": "app"}
    exec(request.param + MODULE, names)  # noqa: S102  # its annotations would be found wrong here
    return names


def test_a_payload_of_an_unknown_type_is_named(module: dict[str, Any], registry: Registry) -> None:
    """With the handler and its parameter, as on every Python."""
    with pytest.raises(TypeError, match=r"send\(email\): 'email' .* NameError: name 'NoSuchType'"):
        registry.job("send")(module["send"])


def test_what_a_resource_gives_is_for_type_checkers(
    module: dict[str, Any], registry: Registry
) -> None:
    """Nobody else reads it, so it may be imported for them alone."""
    registry.resource(module["pool"])
    assert list(registry.resources) == ["pool"]
