"""The results of benchmarks; and taking turns, because a shared machine's speed varies."""

import math
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

RateOf = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a median."""

    at_least: float = -math.inf
    at_most: float = math.inf

    def is_met(self, value: float) -> bool:
        """Whether the value is within the bound."""
        return self.at_least <= value <= self.at_most

    def __str__(self) -> str:
        if self.at_most < math.inf:
            return f"at most {self.at_most:,}"
        return f"at least {self.at_least:,}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours, the first side, and others in the same rounds; goals are for the ratios to them."""

    name: str
    unit: str
    sides: dict[str, list[float]]
    goals: dict[str, Goal] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def ratios_to(self, side: str) -> list[float]:
        """Our values divided by that side's, round by round."""
        ours = next(iter(self.sides.values()))
        return [our / their for our, their in zip(ours, self.sides[side], strict=True)]

    def __str__(self) -> str:
        ours, *others = self.sides
        lines = [f"{self.name}, {self.unit}: median (min to max)", _row(ours, self.sides[ours])]
        for side in others:
            ratios = self.ratios_to(side)
            verdict = _verdict(self.goals.get(side), ratios)
            lines.append(f"{_row(side, self.sides[side])}   ratio {_spread(ratios)}{verdict}")
        return "\n".join(lines + _reasons(self.skipped))


@dataclass(frozen=True, slots=True)
class Figures:
    """Values that are not compared, with goals of their own."""

    name: str
    unit: str
    rows: dict[str, list[float]]
    goals: dict[str, Goal] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.name}, {self.unit}: median (min to max)"]
        for row, values in self.rows.items():
            lines.append(f"{_row(row, values)}{_verdict(self.goals.get(row), values)}")
        return "\n".join(lines + _reasons(self.skipped))


@dataclass(frozen=True, slots=True)
class Growth:
    """How costs change as something grows: each line has values by its amount."""

    name: str
    across: str
    unit: str
    lines: dict[str, dict[int, list[float]]]

    def __str__(self) -> str:
        text = [f"{self.name}, {self.unit} by {self.across}: median (min to max)"]
        for line, points in self.lines.items():
            text += [_row(f"{line} at {amount:,}", values) for amount, values in points.items()]
        return "\n".join(text)


Result = Comparison | Figures | Growth


def take_turns(sides: Mapping[str, RateOf], rounds: int) -> dict[str, list[float]]:
    """Measure each side once to warm up and then `rounds` times, one after the other."""
    values: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for side, rate in sides.items():
            show_progress(f"{side}, {f'round {turn} of {rounds}' if turn else 'warming up'}")
            value = rate()
            if turn:
                values[side].append(value)
    show_progress("")
    return values


def show_progress(doing: str) -> None:
    """Show on a terminal what is being measured, in place of the last message."""
    if sys.stderr.isatty():
        print(f"\r\033[K{doing}", end="", file=sys.stderr, flush=True)


def _row(name: str, values: list[float]) -> str:
    return f"  {name:<44} {_spread(values)}"


def _spread(values: list[float]) -> str:
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{_number(median):>10} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(goal: Goal | None, values: list[float]) -> str:
    if goal is None:
        return ""
    return f"   goal: {goal}{'' if goal.is_met(statistics.median(values)) else ', MISSED'}"


def _reasons(skipped: Mapping[str, str]) -> list[str]:
    return [f"  {side:<44} skipped: {reason}" for side, reason in skipped.items()]
