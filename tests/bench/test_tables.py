"""What a benchmark prints: who was compared, what was promised, and who was left out and why."""

import pytest
from bench.__main__ import BENCHMARKS, Benchmark
from bench.measure import Comparison, Goal

from tests.stores.postgres import cluster

ON_POSTGRES = [each for each in BENCHMARKS if each.name.startswith(("pg-", "chaos"))]


def line_of(side: str, comparison: Comparison) -> str:
    """The table's line about this side."""
    [line] = [line for line in str(comparison).splitlines() if line.strip().startswith(side)]
    return line


def comparison() -> Comparison:
    """Ours at 100, one that is slower, one that is faster, and one that is not there."""
    return Comparison(
        "Engine",
        "jobs per second",
        {"ours": [100.0], "slow": [10.0], "fast": [200.0]},
        goals={"slow": Goal(at_least=2), "fast": Goal(at_least=2)},
        skipped={"absent": "not installed"},
    )


def test_a_goal_that_is_met_is_printed_as_it_is() -> None:
    """A reader sees what was asked for next to what came of it."""
    assert line_of("slow", comparison()).endswith("goal: at least 2")


def test_a_goal_that_is_missed_is_called_missed() -> None:
    """Nobody has to compare numbers to see it."""
    assert line_of("fast", comparison()).endswith("goal: at least 2, MISSED")


def test_who_was_skipped_stands_in_the_table_with_the_reason() -> None:
    """What is missing from a comparison is said, not left out."""
    assert line_of("absent", comparison()).endswith("skipped: not installed")


@pytest.mark.parametrize("benchmark", [pytest.param(each, id=each.name) for each in ON_POSTGRES])
def test_a_benchmark_that_needs_postgresql_says_that_there_is_none(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So all others that were asked for print their figures."""
    monkeypatch.setattr(cluster, "_binaries", lambda: None)
    assert "skipped: there is no PostgreSQL server" in str(benchmark.measure(1))
