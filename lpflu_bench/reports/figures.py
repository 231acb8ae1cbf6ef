"""The figures of a report: intervals, training curves, scores against cost, and those of other modules."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from lpflu_bench.inference.ranks import Ranks
from lpflu_bench.inference.verdicts import Word
from lpflu_bench.records import Record
from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.columns import Column
from lpflu_bench.reports.drawing import (
    INK,
    STYLE,
    Drawing,
    colours,
    figure_and_axes,
    height_for,
    label_lines,
    slug,
)
from lpflu_bench.reports.rank_figure import critical_differences
from lpflu_bench.reports.runs import Runs, metric_value, place_text
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.sweep_figures import sweeps
from lpflu_bench.reports.wording import level_text
from lpflu_bench.scores import Score

MAX_SWEEPS = 12
MAX_PLACES = 12
"""A study of more places (tasks with a setting) has no figure for each of them: nobody looks at a hundred."""
VERDICT_COLOURS = {Word.BETTER: "#0d7a54", Word.WORSE: "#c2410c", Word.EQUIVALENT: "#0f7fc4"}
_OPEN = "#7d8790"


Curve = Callable[[Record], Sequence[Mapping[str, float]]]
"""A record's training curve: a point for each epoch."""


def recorded_curve(record: Record) -> Sequence[Mapping[str, float]]:
    """Return the curve that a whole record holds."""
    return record["trained"]["curve"]


def draw_all(analysis: Analysis, curve: Curve = recorded_curve) -> list[Drawing]:
    """Return every figure that the records have data for, within :data:`MAX_SWEEPS` and :data:`MAX_PLACES`.

    Args:
        analysis: of the study.
        curve: gives a record's training curve; records read in short have its last point alone.
    """
    main = analysis.main_columns
    with mpl.rc_context(STYLE):
        drawings = list(_intervals(analysis, main)) if len(main) <= MAX_PLACES else []
        drawings += itertools.islice(sweeps(analysis, main), MAX_SWEEPS)
        if len(main) <= MAX_PLACES:
            drawings += [*_curves(analysis, main, curve), *_costs(analysis, main)]
        if isinstance(analysis.ranks, Ranks):
            drawings.append(critical_differences(analysis.ranks))
        return drawings


def _intervals(analysis: Analysis, columns: Sequence[Column]) -> Iterator[Drawing]:
    for column in columns:
        rows = [row for row in column.rows if row.comparison]
        if rows:
            yield _interval_figure(analysis, column)


def _interval_figure(analysis: Analysis, column: Column) -> Drawing:
    """Draw each function's difference: interval, mean, and a dot for each seed; the verdict beside it."""
    sign = 1 if column.score.lower_is_better else -1
    rows = [(row, row.comparison) for row in column.rows if row.comparison]
    rows.sort(key=lambda item: sign * item[1].difference, reverse=True)
    reference = column.scores[column.reference]
    figure, axes = figure_and_axes(0.75 + 0.24 * max(len(rows), 3))
    axes.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    if column.margin is not None:
        axes.axvspan(-column.margin, column.margin, color=_OPEN, alpha=0.12, linewidth=0)
    for level, (row, comparison) in enumerate(rows):
        colour = VERDICT_COLOURS.get(row.verdict.word, _OPEN)
        if interval := row.interval:
            axes.plot(
                [interval.low, interval.high], [level, level], color=colour, linewidth=2.4, solid_capstyle="round"
            )
        values = dict(zip(row.seeds, row.values, strict=True))
        dots = [values[seed] - reference[seed] for seed in values if seed in reference and seed not in row.diverged]
        axes.plot(dots, [level - 0.22] * len(dots), "o", color=colour, alpha=0.55, markersize=2.6, markeredgewidth=0)
        axes.plot(comparison.difference, level, "o", color=colour, markersize=6)
        axes.annotate(
            row.verdict.word,
            (1.02, level),
            xycoords=("axes fraction", "data"),
            color=colour,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )
    longest = max(len(row.activation) for row, _ in rows)
    axes.xaxis.set_major_locator(MaxNLocator(5 if longest <= 20 else 3))  # names take their width from the axis
    axes.set_yticks(range(len(rows)), [row.activation for row, _ in rows])
    axes.set_ylim(-0.7, len(rows) - 0.4)
    axes.grid(False, axis="y")
    better = "← better" if column.score.lower_is_better else "better →"
    unit = {"%": "points", "": ""}.get(column.score.unit, column.score.unit)
    measured = column.score.label + (f", {unit}" if unit else "")
    # Below the whole figure: long names of functions leave little width to the axis.
    figure.supxlabel(f"difference to {column.reference}: {measured} ({better})", fontsize=8.5, color=INK)
    where = place_text(analysis.spec, column.place)
    caption = (
        f"Large dot and bar: mean difference and its interval; all bars hold together at {level_text(analysis.spec)}. "
        "Small dots: single seeds."
    )
    if column.margin is not None:
        caption += f" Band: the margin, ±{column.margin:g}."
    return Drawing(slug("intervals", where), "intervals", f"Differences: {where}", caption, figure)


def _curve_keys(curves: Iterable[Sequence[Mapping[str, float]]], metric: Score) -> tuple[str, str] | None:
    """Return the key of the curve to draw and its axis title: the metric on validation data, else the training loss.

    One epoch's value is not a curve.
    """
    found: set[str] = set()
    for points in curves:
        epochs = Counter(key for point in points for key in point)
        found.update(key for key, count in epochs.items() if count > 1)
    for key in (f"val_{metric.name}", f"test_{metric.name}", metric.name):
        if key in found:
            return key, metric.title
    return ("train_loss", "training loss") if "train_loss" in found else None


def _trained_once(spec: ReportSpec, runs: Runs, columns: Sequence[Column]) -> Iterator[tuple[Column, set[str]]]:
    """Give one column of those with the same trained networks, and the axes in which their tests differ."""
    groups: dict[frozenset[str], list[Column]] = defaultdict(list)
    for column in columns:
        groups[frozenset(record["trained"]["config_hash"] for record in runs.records(column.place))].append(column)
    for group in groups.values():
        values = zip(spec.axes, zip(*(column.place.setting for column in group), strict=True), strict=True)
        yield group[0], {axis for axis, found in values if len(set(found)) > 1}


def _curves(analysis: Analysis, columns: Sequence[Column], curve: Curve) -> Iterator[Drawing]:
    runs, spec = analysis.runs, analysis.spec
    colour = colours(runs.activations)
    for column, test_axes in _trained_once(spec, runs, columns):
        curves = {
            activation: [curve(record) for record in runs.finished.get((column.place, activation), {}).values()]
            for activation in runs.activations
        }
        if (keys := _curve_keys(itertools.chain(*curves.values()), column.score)) is None:
            continue
        key, title = keys
        figure, axes = figure_and_axes(height_for(len(column.scores)))
        ends = []
        for activation in runs.activations:
            points: dict[float, list[float]] = defaultdict(list)
            for point in itertools.chain(*curves[activation]):
                value = point.get(key)
                if isinstance(value, (int, float)) and math.isfinite(value) and "epoch" in point:
                    points[point["epoch"]].append(value)
            if not points:
                continue
            epochs = np.array(sorted(points))
            means = np.array([np.mean(points[epoch]) for epoch in epochs])
            spread = np.array([np.std(points[epoch], ddof=1) if len(points[epoch]) > 1 else 0.0 for epoch in epochs])
            style = (0, (4, 1.5)) if activation == spec.reference else "-"
            axes.plot(epochs, means, label=activation, linewidth=1.4, linestyle=style, color=colour[activation])
            if spread.any() and len(runs.activations) <= 8:
                axes.fill_between(
                    epochs, means - spread, means + spread, color=colour[activation], alpha=0.15, linewidth=0
                )
            ends.append((float(epochs[-1]), float(means[-1]), activation, colour[activation]))
        if not ends:
            continue
        axes.set(xlabel="epoch", ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        label_lines(axes, ends)
        where = place_text(spec, column.place, without=test_axes)
        band = ", band ± one sd" if len(runs.activations) <= 8 else ""
        caption = f"{title[0].upper()}{title[1:]} after each epoch: mean over seeds{band}."
        yield Drawing(slug("curves", where), "curves", f"Training: {where}", caption, figure)


# --- cost ------------------------------------------------------------------------------------------------------------


def _costs(analysis: Analysis, columns: Sequence[Column]) -> Iterator[Drawing]:
    runs = analysis.runs
    if runs.shared_gpu:
        return
    colour = colours(runs.activations)
    for column in columns:
        points = {name: _cost_points(runs, column, name) for name in runs.activations}
        points = {name: pairs for name, pairs in points.items() if pairs}
        if len(points) < 2:
            continue
        figure, axes = figure_and_axes(height_for(len(points)))
        ends = []
        for activation, pairs in points.items():
            speed, score = np.array(pairs).T
            axes.plot(speed, score, ".", color=colour[activation], alpha=0.35, markersize=4)
            axes.plot(speed.mean(), score.mean(), "o", color=colour[activation], markersize=6, label=activation)
            ends.append((float(speed.mean()), float(score.mean()), activation, colour[activation]))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set(xlabel="training throughput (images/s)", ylabel=column.score.title)
        axes.margins(0.08)
        label_lines(axes, ends)
        where = place_text(analysis.spec, column.place)
        better = "lower" if column.score.lower_is_better else "upper"
        caption = f"Better towards the {better} right. Large dots: means; small ones: single seeds."
        devices = {str(r["trained"]["environment"].get("device", "")) for r in runs.records(column.place)} - {""}
        if len(devices) > 1:
            caption += f" Runs of different devices ({', '.join(sorted(devices))}): speeds are not comparable."
        elif devices:
            caption += f" Device: {devices.pop()}."
        yield Drawing(slug("cost", where), "cost", f"Cost: {where}", caption, figure)


def _cost_points(runs: Runs, column: Column, activation: str) -> list[tuple[float, float]]:
    points = []
    for record in runs.finished.get((column.place, activation), {}).values():
        speed = record["trained"]["images_per_second"]
        value = metric_value(record, column.score.name)
        if isinstance(speed, (int, float)) and math.isfinite(speed) and speed > 0 and value is not None:
            points.append((float(speed), value))
    return points
