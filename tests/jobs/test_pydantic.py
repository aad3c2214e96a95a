"""A payload or a result may be a pydantic model, which pydantic checks, makes and writes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pydantic.v1
import pytest
from pydantic import BaseModel, Field, PositiveInt, computed_field

from job_service import InvalidPayload, Registry, Settings, host
from job_service.jobs.registration.job_type import encode_payload
from job_service.testing import assert_completed, assert_failed, run_sync
from tests.jobs.pydantic_handlers import Cat, Dog, Line, Order, Pet, Point, Receipt, confirm

ORDER = {"orderNumber": 17, "lines": [{"sku": "tea", "pieces": 2}]}


@pytest.fixture
def registry() -> Registry:
    """Handlers that take models, on the loop and in a process."""
    registry = Registry()

    @registry.job("confirm")
    async def confirm_here(order: Order) -> Receipt:
        return confirm(order)

    registry.job("in_process", runs_in="process")(confirm)
    return registry


def check(annotation: Any, payload: object) -> None:
    """Check a payload against an annotation."""
    registry = Registry()

    async def handler(payload): ...  # type: ignore[no-untyped-def]  # it is annotated below

    handler.__annotations__["payload"] = annotation
    registry.job("any")(handler)
    registry.lookup("any").check_payload(msgspec.json.encode(payload))


@pytest.mark.parametrize(
    ("job_type", "payload"),
    [
        ("confirm", ORDER),
        ("confirm", Order.model_validate(ORDER)),
        ("in_process", Order.model_validate(ORDER)),
    ],
    ids=["as JSON", "as a model", "in a process"],
)
def test_a_model_goes_in_and_another_comes_out(
    job_type: str, payload: object, registry: Registry
) -> None:
    """Made and written by its aliases, wherever the handler runs."""
    job = run_sync(registry, job_type, payload)
    assert_completed(job, {"orderNumber": 17, "at": None})
    if payload is ORDER:
        assert msgspec.json.decode(job.payload) == ORDER, "it is kept as it was sent"


def test_a_model_takes_back_what_it_has_written() -> None:
    """What it computes is in a result, and not in a payload: it may take no other fields."""

    class Square(BaseModel, extra="forbid"):
        side: int

        @computed_field  # type: ignore[prop-decorator]  # as pydantic's own documentation has it
        @property
        def area(self) -> int:
            """Is not given, but made."""
            return self.side**2

    registry = Registry()

    @registry.job("draw")
    async def draw(square: Square = Square(side=2)) -> Square:  # noqa: B008  # never changed
        return square

    drawn = run_sync(registry, "draw", Square(side=3))
    assert_completed(drawn, {"side": 3, "area": 9})
    assert bytes(drawn.payload) == b'{"side":3}'
    assert_completed(run_sync(registry, "draw"), {"side": 2, "area": 4})


async def test_a_model_outlives_the_service(registry: Registry, tmp_path: Path) -> None:
    """What a store in a file keeps is the text, which is made a model when the job runs."""
    settings = Settings(
        port=0, store=f"sqlite:{tmp_path / 'jobs.db'}", log_file=str(tmp_path / "log"), grace=0
    )
    async with host(registry, settings) as service:
        await service.queue.pause()
        job = await service.queue.submit("confirm", Order.model_validate(ORDER))
    async with host(registry, settings) as service:
        await service.queue.resume()
        assert_completed(await service.queue.wait(job.id, 10), {"orderNumber": 17, "at": None})


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({}, "Field required - at `$.orderNumber`; Field required - at `$.lines`"),
        (
            {"orderNumber": 0, "lines": [{"sku": "tea"}, {"sku": "", "pieces": "x"}]},
            (
                "Input should be greater than or equal to 1 - at `$.orderNumber`; "
                "String should have at least 1 character - at `$.lines[1].sku`; "
                "Input should be a valid integer, unable to parse string as an integer - "
                "at `$.lines[1].pieces`"
            ),
        ),
        ({"orderNumber": 1, "lines": []}, "Value error, nothing is ordered"),
        (
            {**ORDER, "ordered_at": "2026-01-31T00:00:00"},
            "Value error, a time zone is missing - at `$.ordered_at`",
        ),
        ([], "Input should be an object"),
        (
            {"orderNumber": 1, "lines": [{} for _ in range(7)]},
            "; Field required - at `$.lines[4].sku`; and 2 more",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    payload: object, problem: str, registry: Registry
) -> None:
    """All of it, but not the values that somebody sent."""
    with pytest.raises(InvalidPayload) as caught:
        registry.lookup("confirm").check_payload(msgspec.json.encode(payload))
    assert str(caught.value).endswith(problem)


@pytest.mark.parametrize("text", [b"[NaN]", b"[Infinity]", b"[", b'["\xff"]', b""])
def test_what_is_no_json_is_no_payload(text: bytes, registry: Registry) -> None:
    """Though pydantic takes NaN for a number."""

    @registry.job("prices")
    async def prices(amounts: Annotated[list[float], Field(min_length=1)]) -> None: ...

    with pytest.raises(InvalidPayload):
        registry.lookup("prices").check_payload(text)


@pytest.mark.parametrize(
    ("annotation", "fits", "does_not"),
    [
        (list[Line], [{"sku": "tea"}], [{"sku": "tea", "colour": "red"}]),
        (dict[str, Line] | None, None, {"a": {}}),
        (Pet, {"kind": "cat", "lives": 3}, {"kind": "cow"}),
        (Point, {"x": 1}, {"x": -1}),
        (PositiveInt, 1, 0),
        (Annotated[list[int], Field(max_length=1)], [1], [1, 2]),
        (pydantic.RootModel[list[int]], [1], {"root": [1]}),
    ],
)
def test_all_that_pydantic_knows_may_be_a_payload(
    annotation: Any, fits: object, does_not: object
) -> None:
    """Models inside other types, its dataclasses, and its constraints on other types."""
    check(annotation, fits)
    with pytest.raises(InvalidPayload):
        check(annotation, does_not)


def test_a_dataclass_of_pydantic_is_made_by_pydantic() -> None:
    """And one can be submitted, and returned."""
    registry = Registry()

    @registry.job("move")
    async def move(point: Point) -> Point:
        return Point(point.x + 1, point.y)

    assert_completed(run_sync(registry, "move", Point(1, 2)), {"x": 2, "y": 2})


def test_a_model_may_be_anywhere_in_a_result(registry: Registry) -> None:
    """In a list, in a Struct or under a key."""

    class Report(msgspec.Struct):
        pets: list[Cat | Dog]

    @registry.job("report")
    async def report() -> list[Any]:
        return [Report([Cat(kind="cat")]), {"dog": Dog(kind="dog")}]

    wanted = [{"pets": [{"kind": "cat", "lives": 9}]}, {"dog": {"kind": "dog"}}]
    assert_completed(run_sync(registry, "report"), wanted)


def test_a_result_that_pydantic_can_not_write_fails_the_job(registry: Registry) -> None:
    """With the reason."""

    class Loose(BaseModel):
        value: Any

    @registry.job("loose")
    async def loose() -> Loose:
        return Loose(value=object())

    assert_failed(run_sync(registry, "loose"), "the result can't be written as JSON")


def test_the_default_of_a_parameter_may_be_a_model(registry: Registry) -> None:
    """It stands for a payload that is left out, and each attempt gets a fresh one."""

    @registry.job("line")
    async def line(line: Line = Line(sku="tea")) -> str:  # noqa: B008
        return line.sku

    assert registry.lookup("line").absent_payload == b'{"sku":"tea","pieces":1}'
    assert_completed(run_sync(registry, "line"), "tea")


class Parcel(msgspec.Struct):
    """What pydantic does not make."""

    order: Order


class Plain:
    """What nobody can make."""


class Old(pydantic.v1.BaseModel):
    """A model of pydantic 1."""

    x: int


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (Parcel, "so write a pydantic model instead of what it is in"),
        (Old, "models of pydantic 1 are not supported: derive it from the BaseModel of pydantic 2"),
        (list[Old], "models of pydantic 1 are not supported"),
        (tuple[Line, Plain], "Unable to generate pydantic-core schema for <class '.*Plain'>"),
    ],
)
def test_what_can_be_no_payload_is_refused_in_one_line(annotation: Any, problem: str) -> None:
    """When the handler is registered, with its place."""
    with pytest.raises(TypeError) as refused:
        check(annotation, None)
    assert re.search(problem, str(refused.value))
    assert re.search(rf"\({re.escape(__file__)}:\d+\)$", str(refused.value))


def test_a_payload_that_is_no_model_is_refused_as_before() -> None:
    """The hook for models takes nothing else."""
    with pytest.raises(InvalidPayload, match=r"JSON can't carry .*Plain"):
        encode_payload(Plain())


def test_a_service_starts_without_it() -> None:
    """Nothing but a program's own import loads it, though it is installed."""
    script = "import sys, job_service.main; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
