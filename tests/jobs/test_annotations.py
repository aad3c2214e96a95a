"""Annotations that can't be evaluated, because Python does it late or not at all."""

import sys
from typing import Any

import pytest

from job_service import Registry

NEVER = "from __future__ import annotations\n"
LATE = ""  # before 3.14 the module itself would fail, because annotations are evaluated at once
HOW = [NEVER, LATE] if sys.version_info >= (3, 14) else [NEVER]

MODULE = """
from collections.abc import AsyncIterator

async def send(email: NoSuchType) -> None: ...

async def pool() -> AsyncIterator[OnlyForTypeCheckers]:
    yield
"""


@pytest.fixture(params=HOW, ids=["never", "late"][: len(HOW)])
def module(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The names in the module."""
    names: dict[str, Any] = {"__name__": "app"}
    exec(request.param + MODULE, names)  # noqa: S102  # its annotations would be found wrong here
    return names


def test_a_payload_of_an_unknown_type_is_named(module: dict[str, Any], registry: Registry) -> None:
    """The error names the handler and its parameter, on every Python."""
    with pytest.raises(TypeError, match=r"send\(email\): 'email' .* NameError: name 'NoSuchType'"):
        registry.job("send")(module["send"])


def test_what_a_resource_gives_is_for_type_checkers(
    module: dict[str, Any], registry: Registry
) -> None:
    """Only they read the annotation of what it yields, so it may be imported for them alone."""
    registry.resource(module["pool"])
    assert list(registry.resources) == ["pool"]
