"""Job types whose payloads a generator must get right: of msgspec and pydantic, and namesakes."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, Field

from job_service import Registry

registry = Registry()


class Greeting(msgspec.Struct):
    """Whom to greet, and when; nobody need say when."""

    name: str
    at: datetime | None = None
    tone: Literal["warm", "dry"] = "warm"


class JobSummary(msgspec.Struct):
    """A payload with the name of an answer, which contains itself."""

    inner: "JobSummary | None" = None


class Circle(BaseModel):
    """One shape."""

    kind: Literal["circle"]
    radius: float = Field(gt=0)


class Square(BaseModel):
    """Another."""

    kind: Literal["square"]
    side: float


Shape = Annotated[Circle | Square, Field(discriminator="kind")]


@registry.job("greet")
async def greet(greeting: Greeting) -> str:
    """Greet somebody."""
    return f"Hello, {greeting.name}!"


@registry.job("draw")
async def draw(shape: Shape) -> str:
    """Draw one of two shapes."""
    return shape.kind


class Mail(BaseModel):
    """Two kinds of payload have this name, and this one is pydantic's."""

    to: str


@registry.job("mail")
async def mail(mail: Mail) -> None:
    """Send nothing."""


@registry.job("job")
async def job(summary: JobSummary) -> None:
    """Take a payload that is called as an answer is."""


@registry.job("jobs.nested-list")
async def nested_list(rows: list[dict[str, list[int]]] | None = None) -> None:
    """Take a payload without a class."""


class Text(msgspec.Struct):
    """A text."""

    text: str


# Generators make one class of these names. The page's sample submits the first.
@registry.job("count_words")
@registry.job("count-words")
@registry.job("count.words")
async def count_words(text: Text) -> int:
    """Count words."""
    return len(text.text.split())
