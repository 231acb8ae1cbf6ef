"""The figures of a report: training curves, swept settings, accuracy against cost, critical differences."""

import io
import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lpflu_bench.reports.results import Block
from lpflu_bench.reports.runs import Runs, metric_value, place_text
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.statistics import Ranks
from lpflu_bench.scores import Score
from lpflu_bench.text import setting_text

INK = "#3c4043"
"""Colour of axes and text. The page replaces it by its own text colour, light or dark."""
MAX_SWEEPS = 6
MAX_PLACES = 12
"""A study of more places (tasks with a setting) has no figure for each of them: nobody looks at a hundred."""
_COLOURS = ["#0f7fc4", "#e0622b", "#1a9d76", "#c05a9b", "#d9970f", "#5f6bd1", "#7c8a1f", "#8a6b52"]
_MARKERS = "osD^vPX*"
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.color": "#808080",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",  # text stays text: small files that can be searched and read aloud
    "svg.hashsalt": "lpflu_bench",  # the same figure, the same bytes
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
}


@dataclass(frozen=True)
class Drawing:
    """A figure with what is said about it.

    Attributes:
        name: file name without suffix.
        kind: ``curves``, ``sweep``, ``cost`` or ``ranks``.
        title: what it shows.
        caption: how to read it.
        figure: the drawing.
    """

    name: str
    kind: str
    title: str
    caption: str
    figure: Figure


def draw_all(spec: ReportSpec, runs: Runs, blocks: Sequence[Block], ranks: Ranks | str) -> list[Drawing]:
    """Return every figure that the records have data for, within :data:`MAX_SWEEPS` and :data:`MAX_PLACES`."""
    main = [block for block in blocks if block.main and block.weights == "raw"]
    with mpl.rc_context(_STYLE):
        drawings = list(itertools.islice(_sweeps(spec, runs, main), MAX_SWEEPS))
        if len(main) <= MAX_PLACES:
            drawings += [*_curves(spec, runs, main), *_costs(spec, runs, main)]
        return [*drawings, _critical_differences(ranks)] if isinstance(ranks, Ranks) else drawings


def save(drawing: Drawing, folder: Path) -> str:
    """Write the figure as PNG and SVG, the same bytes for the same figure, and return the SVG."""
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        drawing.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        drawing.figure.set_layout_engine("none")  # laid out by the first drawing; the second keeps it
        drawing.figure.savefig(folder / f"{drawing.name}.png", dpi=160, facecolor="white", metadata={"Software": None})
    svg = buffer.getvalue()
    (folder / f"{drawing.name}.svg").write_text(svg, encoding="utf-8")
    return svg


def _slug(*parts: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", " ".join(parts).lower()).strip("-")


def _axes(height: float = 3.3) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.0, height), layout="constrained")
    axes = figure.add_subplot()
    return figure, axes


def _look(runs: Runs, spec: ReportSpec, activation: str) -> dict[str, Any]:
    """Return colour, marker and line of a function, the same in every figure; the reference's line is broken."""
    index = runs.activations.index(activation)
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "marker": _MARKERS[(index + index // len(_COLOURS)) % len(_MARKERS)],
        "linestyle": (0, (4, 1.5)) if activation == spec.reference else "-",
        "zorder": 3 if activation == spec.reference else 2,
    }


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = min(len(labels), 4 if max(map(len, labels), default=0) < 12 else 2)
    figure.legend(handles, labels, loc="outside lower center", ncols=max(columns, 1), handlelength=2.2)


def _curve_keys(records: Sequence[Any], metric: Score) -> tuple[str, str] | None:
    """Return the key of the curve to draw and its axis title: the metric on validation data, else the training loss.

    One epoch's value is no curve.
    """
    found: set[str] = set()
    for record in records:
        epochs = Counter(key for point in record.get("curve") or () for key in point)
        found.update(key for key, count in epochs.items() if count > 1)
    for key in (f"val_{metric.name}", f"test_{metric.name}", metric.name):
        if key in found:
            return key, metric.title
    return ("train_loss", "training loss") if "train_loss" in found else None


def _curves(spec: ReportSpec, runs: Runs, blocks: Sequence[Block]) -> Iterator[Drawing]:
    for block in blocks:
        if (keys := _curve_keys(runs.records(block.place), block.metric)) is None:
            continue
        key, title = keys
        figure, axes = _axes()
        for activation in runs.activations:
            points: dict[float, list[float]] = defaultdict(list)
            for record in runs.finished.get((block.place, activation), {}).values():
                for point in record.get("curve") or ():
                    value = point.get(key)
                    if isinstance(value, (int, float)) and math.isfinite(value) and "epoch" in point:
                        points[point["epoch"]].append(value)
            if not points:
                continue
            epochs = np.array(sorted(points))
            means = np.array([np.mean(points[epoch]) for epoch in epochs])
            spread = np.array([np.std(points[epoch], ddof=1) if len(points[epoch]) > 1 else 0.0 for epoch in epochs])
            look = _look(runs, spec, activation)
            if len(epochs) >= 3:
                del look["marker"]
            axes.plot(epochs, means, label=activation, linewidth=1.4, markersize=4, **look)
            if spread.any():
                axes.fill_between(epochs, means - spread, means + spread, color=look["color"], alpha=0.15, linewidth=0)
        if not axes.lines:
            continue
        axes.set(xlabel="epoch", ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(figure, axes)
        where = place_text(spec, block.place)
        yield Drawing(
            _slug("curves", where),
            "curves",
            f"Training: {where}",
            f"{title[0].upper()}{title[1:]} after each epoch: mean over seeds, band ± one sd.",
            figure,
        )


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _sweeps(spec: ReportSpec, runs: Runs, blocks: Sequence[Block]) -> Iterator[Drawing]:
    for position, axis in enumerate(spec.axes):
        families: dict[tuple[str, ...], list[Block]] = defaultdict(list)
        for block in blocks:
            rest = tuple(value for index, value in enumerate(block.place.setting) if index != position)
            families[block.place.task, *rest].append(block)
        others = [name for name in spec.axes if name != axis]
        for (task, *fixed), family in families.items():
            if len(family) > 1:
                where = [task, *(f"{name} {value}" for name, value in zip(others, fixed, strict=True))]
                yield _sweep(spec, runs, axis, position, ", ".join(where), family)


def _sweep(spec: ReportSpec, runs: Runs, axis: str, position: int, where: str, family: Sequence[Block]) -> Drawing:
    metric = family[0].metric
    present = {block.place.setting[position] for block in family}
    values = [value for value in runs.values[axis] if setting_text(value) in present]
    texts = [setting_text(value) for value in values]
    numeric = _numeric(values)
    if numeric:
        order = np.argsort(values)
        values, texts = [values[i] for i in order], [texts[i] for i in order]
    logarithmic = numeric and min(values) > 0 and max(values) / min(values) >= 8
    by_text = {block.place.setting[position]: block for block in family}
    names = [name for name in runs.activations if any(name in block.scores for block in family)]
    figure, axes = _axes()
    for index, activation in enumerate(names):
        xs: list[float] = []
        means: list[float] = []
        spreads: list[float] = []
        for place, text in enumerate(texts):
            seeds = by_text[text].scores.get(activation)
            if seeds:
                xs.append(values[place] if numeric else place + 0.5 * (index - (len(names) - 1) / 2) / len(names))
                means.append(float(np.mean(list(seeds.values()))))
                spreads.append(float(np.std(list(seeds.values()), ddof=1)) if len(seeds) > 1 else 0.0)
        look = _look(runs, spec, activation)
        if not numeric:
            look["linestyle"] = "none"  # a line between unordered values would mean nothing
        axes.errorbar(
            xs, means, spreads, label=activation, markersize=4.5, linewidth=1.4, elinewidth=1, capsize=2, **look
        )
    if logarithmic:
        axes.set_xscale("log")
    if numeric:
        axes.set_xticks(values, texts)
        axes.minorticks_off()
    else:
        axes.set_xticks(range(len(texts)), texts)
        axes.set_xlim(-0.5, len(texts) - 0.5)
        axes.grid(False, axis="x")
        if max(map(len, texts)) * len(texts) > 60:
            axes.tick_params(axis="x", labelrotation=30)
    axes.set(xlabel=axis.replace("_", " "), ylabel=metric.title)
    _legend(figure, axes)
    return Drawing(
        _slug("sweep", axis, where),
        "sweep",
        f"{metric.label[0].upper()}{metric.label[1:]} against {axis.replace('_', ' ')}: {where}",
        "Mean over seeds, bar ± one sd.",
        figure,
    )


def _costs(spec: ReportSpec, runs: Runs, blocks: Sequence[Block]) -> Iterator[Drawing]:
    for block in blocks:
        points = {name: _cost_points(runs, block, name) for name in runs.activations}
        points = {name: pairs for name, pairs in points.items() if pairs}
        if len(points) < 2:
            continue
        figure, axes = _axes()
        for activation, pairs in points.items():
            speed, score = np.array(pairs).T
            look = _look(runs, spec, activation) | {"linestyle": "none"}
            bars = (speed.std(ddof=1), score.std(ddof=1)) if len(pairs) > 1 else (0.0, 0.0)
            axes.errorbar(
                speed.mean(), score.mean(), bars[1], bars[0], label=activation, markersize=6, elinewidth=1, **look
            )
        axes.set(xlabel="training throughput (images/s)", ylabel=block.metric.title)
        axes.margins(0.12)
        _legend(figure, axes)
        where = place_text(spec, block.place)
        better = "lower" if block.metric.lower_is_better else "upper"
        caption = f"Better towards the {better} right. Mean over seeds, bars ± one sd."
        devices = {str((r.get("environment") or {}).get("device", "")) for r in runs.records(block.place)} - {""}
        if len(devices) > 1:
            caption += f" Runs of different devices ({', '.join(sorted(devices))}): speeds are not comparable."
        elif devices:
            caption += f" Device: {devices.pop()}."
        yield Drawing(_slug("cost", where), "cost", f"Cost: {where}", caption, figure)


def _cost_points(runs: Runs, block: Block, activation: str) -> list[tuple[float, float]]:
    points = []
    for record in runs.finished.get((block.place, activation), {}).values():
        speed = (record.get("train") or {}).get("images_per_second")
        value = metric_value(record, block.metric.name)
        if isinstance(speed, (int, float)) and math.isfinite(speed) and speed > 0 and value is not None:
            points.append((float(speed), value))
    return points


def _critical_differences(ranks: Ranks) -> Drawing:
    """Draw Demšar's diagram: functions at their average rank, bars over those that are not separable."""
    names = list(ranks.average)
    count = len(names)
    half = (count + 1) // 2
    floor = -0.55 - 0.24 * len(ranks.groups)
    figure = Figure(figsize=(6.4, 1.0 + 0.28 * half + 0.2 * len(ranks.groups)))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.set_axis_off()
    axes.set_xlim(1 - 0.4 * (count - 1), count + 0.4 * (count - 1))
    axes.plot([1, count], [0, 0], color=INK, linewidth=1)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.12], color=INK, linewidth=1)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=8.5)
    axes.plot([1, 1 + ranks.critical_difference], [0.95, 0.95], color=INK, linewidth=1.6, marker="|", markersize=7)
    axes.text(1, 1.1, f"critical difference {ranks.critical_difference:.2f}", ha="left", va="bottom", fontsize=8.5)
    reach = 0.09 * (count - 1) + 0.1
    for index, name in enumerate(names):
        rank = ranks.average[name]
        best_side = index < half
        level = floor - 0.34 * (index if best_side else count - 1 - index)
        edge = 1 - reach if best_side else count + reach
        axes.plot([rank, rank, edge], [0, level, level], color=INK, linewidth=0.9)
        text = f"{name}  {rank:.2f}" if best_side else f"{rank:.2f}  {name}"
        side = "right" if best_side else "left"
        axes.annotate(
            text, (edge, level), (-4 if best_side else 4, 0), textcoords="offset points", ha=side, va="center"
        )
    for index, group in enumerate(ranks.groups):
        level = -0.3 - 0.24 * index
        ends = [ranks.average[group[0]] - 0.04, ranks.average[group[-1]] + 0.04]
        axes.plot(ends, [level, level], color=_COLOURS[0], linewidth=4, solid_capstyle="round")
    return Drawing(
        "critical-difference",
        "ranks",
        "Average ranks",
        "Best on the left (rank 1). Functions under one bar are not separable: their average ranks differ by less than "
        f"Nemenyi's critical difference at {ranks.alpha:g}"
        + ("." if ranks.p < ranks.alpha else ", or Friedman's test does not find the functions to differ at all."),
        figure,
    )
