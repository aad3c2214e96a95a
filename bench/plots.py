"""`python -m bench.plots results.json` draws what was measured, one picture for each kind."""

import argparse
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")  # first of all, because there may be no screen

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import CARETLEFTBASE, CARETRIGHTBASE
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.measure import Comparison, Figures, Goal, Growth, Result

INK: Final = "#1f2933"
QUIET: Final = "#7b8794"
GRID: Final = "#e4e7eb"
OURS: Final = "#0b7a75"
MISSED: Final = "#c2410c"
LINES: Final = ("#0b7a75", "#c2410c", "#3b5bdb", "#9c36b5", "#b08900", "#52606d")

WIDTH_INCHES: Final = 9.0
DOTS_PER_INCH: Final = 130
KINDS: Final = {"comparison": Comparison, "figures": Figures, "growth": Growth}

STYLE: Any = {  # its keys are typed as a list of all literals, and that differs by version
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": GRID,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "white",
}


def draw(results: Sequence[Result], folder: Path) -> None:
    """Draw `ratios.png`, `growth.png` and `figures.png` there, if there are such results."""
    folder.mkdir(parents=True, exist_ok=True)
    comparisons = [result for result in results if isinstance(result, Comparison)]
    growths = [result for result in results if isinstance(result, Growth)]
    figures = [result for result in results if isinstance(result, Figures)]
    with mpl.rc_context(STYLE):
        if comparisons:
            _save(_draw_ratios(comparisons), folder / "ratios.png")
        if growths:
            _save(_draw_growth(growths), folder / "growth.png")
        if figures:
            _save(_draw_figures(figures), folder / "figures.png")


def _draw_ratios(comparisons: Sequence[Comparison]) -> Figure:
    """The ratio to each other side: median as a bar, middle half as a line, goals as marks."""
    labels: list[str] = []
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for comparison in comparisons:
        ours, *others = comparison.sides
        labels.append(f"{comparison.name}, {comparison.unit}")
        for side in others:
            place, ratios = len(labels), comparison.ratios_to(side)
            labels.append(f"{ours} ÷ {side}")
            median, goal = statistics.median(ratios), comparison.goals.get(side)
            colour = OURS if goal is None or goal.is_met(median) else MISSED
            axes.barh(place, median - 1, left=1, height=0.5, color=colour)
            low, high = _middle_half(ratios)
            axes.plot([low, high], [place, place], color=INK, linewidth=1.2)
            _mark_goal(axes, place, goal)
            _say(axes, place, f"{median:.3g}")
    figure.set_size_inches(WIDTH_INCHES, 0.6 + 0.24 * len(labels))
    axes.axvline(1, color=INK, linewidth=1)
    _finish_rows(axes, labels)
    for label in axes.get_yticklabels():
        label.set_fontsize(8)
        label.set_fontweight("normal" if " ÷ " in label.get_text() else "bold")
    _scale_by_logarithm(axes)
    return figure


def _draw_growth(growths: Sequence[Growth]) -> Figure:
    """One panel for each, with logarithmic scales: a cost that does not grow is flat."""
    columns = min(2, len(growths))
    rows = -(-len(growths) // columns)
    figure = Figure(figsize=(WIDTH_INCHES, 4.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes, growth in zip(panels, growths, strict=False):
        amounts = sorted({amount for points in growth.lines.values() for amount in points})
        # A logarithmic scale has no zero, so it stands a decade before the least of the others.
        places = {amount: amount or amounts[1] / 10 for amount in amounts}
        for (line, points), colour in zip(growth.lines.items(), LINES, strict=False):
            at = [places[amount] for amount in points]
            low, high = zip(*map(_middle_half, points.values()), strict=True)
            medians = [statistics.median(values) for values in points.values()]
            axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(at, medians, "o-", color=colour, markersize=4, label=line)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(list(places.values()), [_short(amount) for amount in places])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(_short_formatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        bottom, top = axes.get_ylim()
        # With a narrower range, noise would look like growth.
        axes.set_ylim(bottom / 1.5, max(top, bottom * 100) * 1.5)
        axes.set_title(growth.name)
        axes.set_ylabel(growth.unit)
        axes.legend(
            frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2
        )
    for axes in panels:
        axes.set_visible(False)
    return figure


def _draw_figures(figures: Sequence[Figures]) -> Figure:
    """One panel for each: the median as a dot, the range as a line, goals as marks."""
    heights = [len(result.rows) + 1.6 for result in figures]
    figure = Figure(figsize=(WIDTH_INCHES, 0.36 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(figures), 1, squeeze=False, height_ratios=heights).flat
    for axes, result in zip(panels, figures, strict=True):
        for place, (row, values) in enumerate(result.rows.items()):
            median, goal = statistics.median(values), result.goals.get(row)
            colour = OURS if goal is None or goal.is_met(median) else MISSED
            axes.plot([min(values), max(values)], [place, place], color=colour, linewidth=1.2)
            axes.plot([median], [place], "o", color=colour, markersize=7)
            _mark_goal(axes, place, goal)
            _say(axes, place, _short(median))
        _finish_rows(axes, list(result.rows))
        every = [value for values in result.rows.values() for value in values]
        if max(every) < 10 * min(every):  # it is easiest to read from zero
            axes.set_xlim(left=0)
        else:
            _scale_by_logarithm(axes)
        axes.set_title(f"{result.name}, {result.unit}" if result.unit else result.name)
    return figure


def _finish_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.margins(x=0.05)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(_short_formatter())


def _scale_by_logarithm(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(_short_formatter())
    axes.autoscale_view()


def _mark_goal(axes: Axes, place: int, goal: Goal | None) -> None:
    """A line at the bound, with an arrow to the side that meets it."""
    if goal is not None:
        is_upper = goal.at_most < math.inf
        bound, head = (goal.at_most, CARETLEFTBASE) if is_upper else (goal.at_least, CARETRIGHTBASE)
        axes.plot([bound, bound], [place - 0.36, place + 0.36], color=INK, linewidth=1.4)
        axes.plot([bound], [place - 0.36], marker=head, color=INK, markersize=5)


def _say(axes: Axes, place: int, text: str) -> None:
    """Write a number at the right border of its row."""
    axes.annotate(
        text,
        (1.02, place),
        xycoords=("axes fraction", "data"),
        verticalalignment="center",
        fontweight="bold",
        annotation_clip=False,
    )


def _middle_half(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def _short(number: float) -> str:
    """The number, short enough for an axis."""
    if number >= 1e6:
        return f"{number / 1e6:g}M"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _short_formatter() -> FuncFormatter:
    return FuncFormatter(lambda number, _: _short(number))


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DOTS_PER_INCH)


def read_results(path: Path) -> list[Result]:
    """The results in a file that `python -m bench --output` wrote."""
    results = msgspec.json.decode(path.read_bytes())["results"]
    for result in results:
        for goal in result.get("goals", {}).values():  # JSON has null for infinity
            for bound in [bound for bound, value in goal.items() if value is None]:
                del goal[bound]
    return [msgspec.convert(result, KINDS[result["kind"]], str_keys=True) for result in results]


def main() -> None:
    """Draw what is in a file of results."""
    parser = argparse.ArgumentParser("python -m bench.plots", description=__doc__)
    parser.add_argument("results", type=Path, metavar="FILE", help="from python -m bench --output")
    parser.add_argument("--to", type=Path, default=Path("bench/plots"), metavar="FOLDER")
    arguments = parser.parse_args()
    draw(read_results(arguments.results), arguments.to)


if __name__ == "__main__":
    main()
