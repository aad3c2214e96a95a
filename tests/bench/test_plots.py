"""The pictures of what was measured: one for each kind, from results or from the file of them."""

from pathlib import Path

import pytest
from bench.measure import Comparison, Figures, Goal, Growth, Result
from bench.report import write_report

pytest.importorskip("matplotlib")

from bench.plots import draw, read_results

RESULTS: list[Result] = [
    Comparison(
        "Engine",
        "per second",
        {"ours": [2.0, 3.0], "theirs": [1.0, 2.0], "slow": [0.001, 0.001]},
        goals={"theirs": Goal(at_least=0.5)},
        skipped={"absent": "it is not installed"},
    ),
    Figures("Memory", "MiB", {"at rest": [52.0], "busy": [61.0, 63.0]}, {"busy": Goal(at_most=60)}),
    Growth("Cost", "jobs", "µs", {"a job": {0: [20.0, 21.0], 1_000: [22.0]}, "a page": {10: [5]}}),
]


def test_each_kind_is_a_picture(tmp_path: Path) -> None:
    """PNG files that are small enough to be shown on a page."""
    draw(RESULTS, tmp_path / "plots")
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "plots").iterdir()}
    assert set(pictures) == {"ratios.png", "figures.png", "growth.png"}
    for picture in pictures.values():
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 150_000


def test_there_is_no_picture_of_what_was_not_measured(tmp_path: Path) -> None:
    """A run of a single benchmark draws its own kind."""
    draw(RESULTS[2:], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["growth.png"]


def test_what_is_drawn_can_come_from_the_file(tmp_path: Path) -> None:
    """Results are read as they were written, goals without a bound on one side included."""
    write_report(RESULTS, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == RESULTS
