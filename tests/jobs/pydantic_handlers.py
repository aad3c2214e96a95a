"""Models of pydantic, and handlers that take them, which a process can import."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator
from pydantic.dataclasses import dataclass


class Line(BaseModel):
    """A part of an order."""

    model_config = ConfigDict(extra="forbid")
    sku: str = Field(min_length=1)
    pieces: PositiveInt = 1


class Order(BaseModel):
    """A model with an alias, defaults, constraints, and validators of its own."""

    number: int = Field(alias="orderNumber", ge=1)
    lines: list[Line]
    ordered_at: datetime | None = None

    @field_validator("ordered_at")
    @classmethod
    def with_zone(cls, value: datetime | None) -> datetime | None:
        """A date needs a time zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time zone is missing")
        return value

    @model_validator(mode="after")
    def no_empty_order(self) -> "Order":
        """An order has something in it."""
        if not self.lines:
            raise ValueError("nothing is ordered")
        return self


class Cat(BaseModel):
    """One kind of pet."""

    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    """Another kind of pet."""

    kind: Literal["dog"]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


@dataclass
class Point:
    """A dataclass of pydantic's."""

    x: Annotated[int, Field(ge=0)]
    y: int = 0


class Receipt(BaseModel):
    """A result."""

    order_number: int = Field(serialization_alias="orderNumber")
    at: datetime | None = None


def confirm(order: Order) -> Receipt:
    """Takes a model, and returns one."""
    assert isinstance(order.lines[0], Line)
    return Receipt(order_number=order.number, at=order.ordered_at)
