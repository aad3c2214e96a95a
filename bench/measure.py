"""Compares two rates by taking turns, since a shared machine is never twice the same."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

RateOf = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rates per second of both sides, round by round."""

    name: str
    unit: str
    ours: list[float]
    baseline: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours over the baseline's, of each round."""
        return [ours / base for ours, base in zip(self.ours, self.baseline, strict=True)]

    def __str__(self) -> str:
        return "\n".join(
            (
                f"{self.name}, {self.unit} per second: median (min to max)",
                f"  ours      {_spread(self.ours, '9,.0f')}",
                f"  baseline  {_spread(self.baseline, '9,.0f')}",
                f"  ratio     {_spread(self.ratios, '9.3f')}",
            )
        )


def compare(name: str, unit: str, ours: RateOf, baseline: RateOf, rounds: int) -> Comparison:
    """Measure each side once to warm up and then `rounds` times, in turns."""
    ours()
    baseline()
    turns = [(baseline(), ours()) for _ in range(rounds)]
    return Comparison(name, unit, [our for _, our in turns], [base for base, _ in turns])


def _spread(values: list[float], form: str) -> str:
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{median:{form}}   ({low:{form}} to {high:{form}})"
