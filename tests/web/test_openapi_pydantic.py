"""Payloads that are pydantic models are described as pydantic describes them."""

import re
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis

from job_service import Registry
from job_service.web.openapi.document import build_document
from job_service.web.openapi.job_types import describe_submissions
from tests.jobs import pydantic_handlers
from tests.jobs.pydantic_handlers import Line, Pet
from tests.web.api import Api


class Order(msgspec.Struct):
    """A Struct with the name of a model."""

    number: int


@pytest.fixture
def described() -> tuple[dict[str, Any], dict[str, Any]]:
    """The named schemas and the examples of a registry with models and others."""
    registry = Registry()

    @registry.job("order")
    async def order(order: pydantic_handlers.Order) -> None: ...

    @registry.job("pet")
    async def pet(pet: Pet) -> None: ...

    @registry.job("struct")
    async def struct(order: Order) -> None: ...

    @registry.job("line")
    async def line(line: Line = Line(sku="tea")) -> None: ...  # noqa: B008

    return describe_submissions(registry)


@pytest.mark.parametrize(
    ("job_type", "fits", "does_not"),
    [
        ("order", {"orderNumber": 1, "lines": [{"sku": "tea"}]}, {"number": 1, "lines": []}),
        ("order", {"orderNumber": 1, "lines": []}, {"orderNumber": 0, "lines": []}),
        ("pet", {"kind": "cat"}, {"kind": "cow"}),
        ("struct", {"number": 1}, {"orderNumber": 1, "lines": []}),
        ("line", {"sku": "tea"}, {"sku": ""}),
    ],
)
def test_the_document_says_what_a_model_takes(
    job_type: str, fits: Any, does_not: Any, described: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """Aliases, constraints and variants are in it, and a Struct of the same name is another one."""
    named, _ = described
    schema = {"$ref": "#/components/schemas/Submission", "components": {"schemas": named}}
    submission = jsonschema_rs.validator_for(schema)
    assert submission.is_valid({"type": job_type, "payload": fits})
    assert not submission.is_valid({"type": job_type, "payload": does_not})


def test_a_model_has_an_example(described: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Which can be submitted as it is."""
    _, examples = described
    assert examples["line"]["value"]["payload"] == {"sku": "text"}
    assert examples["pet"]["value"]["payload"]["kind"] in ("cat", "dog")


def test_a_default_is_named(described: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """So clients know what stands for a payload that they leave out."""
    named, _ = described
    assert named["LineSubmission"]["properties"]["payload"]["default"] == {
        "sku": "tea",
        "pieces": 1,
    }


async def test_the_whole_document_is_valid(registry: Registry, api: Api) -> None:
    """And all that it refers to is in it, the variants of a union among it."""

    @registry.job("order")
    async def order(order: pydantic_handlers.Order) -> None: ...

    @registry.job("pet")
    async def pet(pet: Pet) -> None: ...

    document = build_document(api.app, registry, needs_token=False)
    schemathesis.openapi.from_dict(document).validate()
    text = msgspec.json.encode(document).decode()
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert {"Cat", "Order"} <= named <= set(document["components"]["schemas"])
    assert "#/$defs/" not in text
