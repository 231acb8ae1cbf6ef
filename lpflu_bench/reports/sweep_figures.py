"""Figures of swept settings: a score against a setting's strength, or by its values where they have no order."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.columns import Column
from lpflu_bench.reports.drawing import Drawing, colours, figure_and_axes, height_for, label_lines, slug
from lpflu_bench.text import setting_text

MAX_DOTS = 12
"""More seeds than this at one place of a curve are a bar: their dots would lie on top of one another."""
_NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"


def strengths(texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return kind -> value's text -> strength, of values such as ``test-gaussian-0.1`` or of plain numbers (kind ``""``).

    A value without a number (``none``) is strength 0 of every kind. A kind with one strength, such as an attack beside
    swept corruptions, is no curve and left out. Empty where the values have no common form.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    plain = []
    for text in texts:
        if re.fullmatch(_NUMBER, text):
            found[""][text] = float(text)
        elif match := re.fullmatch(rf"(.*[^\d.])[-_ :]+({_NUMBER})", text):
            found[match[1]][text] = float(match[2])
        else:
            plain.append(text)
    swept = {kind: values for kind, values in found.items() if len(values) > 1}
    if not swept or len(plain) > 1 or (plain and "" in found):
        return {}
    return {kind: {**dict.fromkeys(plain, 0.0), **values} for kind, values in swept.items()}


def sweeps(analysis: Analysis, columns: Sequence[Column]) -> Iterator[Drawing]:
    """Draw the main score of each task against every axis of the study that has several values."""
    axes = analysis.spec.axes
    for position, axis in enumerate(axes):
        families: dict[tuple[str, ...], list[Column]] = defaultdict(list)
        for column in columns:
            rest = tuple(value for index, value in enumerate(column.place.setting) if index != position)
            families[column.place.task, *rest].append(column)
        others = [name for name in axes if name != axis]
        for (task, *fixed), family in families.items():
            if len(family) < 2:
                continue
            where = ", ".join([task, *(f"{name} {value}" for name, value in zip(others, fixed, strict=True))])
            by_text = {column.place.setting[position]: column for column in family}
            values = [setting_text(value) for value in analysis.runs.values[axis] if setting_text(value) in by_text]
            kinds = strengths(values)
            for kind, levels in kinds.items():
                yield _strength_figure(analysis, axis, kind, where, [(levels[text], by_text[text]) for text in levels])
            if not kinds:
                yield _category_figure(analysis, axis, where, [(text, by_text[text]) for text in values])


def _strength_figure(
    analysis: Analysis, axis: str, kind: str, where: str, family: Sequence[tuple[float, Column]]
) -> Drawing:
    """Draw a score against a numeric setting: a line for each function, named at its end."""
    family = sorted(family, key=lambda item: item[0])
    score = family[0][1].score
    names = [name for name in analysis.runs.activations if any(name in column.scores for _, column in family)]
    colour = colours(analysis.runs.activations)
    many = len(analysis.runs.seeds) > MAX_DOTS
    figure, axes = figure_and_axes(height_for(len(names)))
    ends = []
    bars: list[tuple[float, float, float, str]] = []
    for activation in names:
        points = [(x, list(column.scores[activation].values())) for x, column in family if activation in column.scores]
        xs, means = [x for x, _ in points], [float(np.mean(values)) for _, values in points]
        style = (0, (4, 1.5)) if activation == analysis.spec.reference else "-"
        axes.plot(
            xs, means, color=colour[activation], linestyle=style, linewidth=1.4, marker="o", markersize=3.5,
            label=activation,
        )  # fmt: skip
        if many:
            bars += [(x, min(values), max(values), colour[activation]) for x, values in points]
        else:
            dots = np.array([(x, value) for x, values in points for value in values])
            axes.plot(*dots.T, ".", color=colour[activation], alpha=0.35, markersize=3)
        ends.append((xs[-1], means[-1], activation, colour[activation]))
    if bars:
        at, low, high, shades = zip(*bars, strict=True)
        axes.vlines(at, low, high, colors=shades, alpha=0.35, linewidth=2)
    ticks = sorted({x for x, _ in family})
    if ticks[0] > 0 and ticks[-1] / ticks[0] >= 8:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    named = _axis_words(analysis, axis, kind, [column for _, column in family])
    axes.set(xlabel=named, ylabel=score.title)
    label_lines(axes, ends)
    title = f"{score.label[0].upper()}{score.label[1:]} against {named}: {where}"
    seeds = "bars: from the lowest to the highest" if many else "dots: single seeds"
    return Drawing(slug("sweep", axis, kind, where), "sweep", title, f"Line: mean over seeds; {seeds}.", figure)


_STRENGTHS = {"data.test_corruption": "severity", "data.test_noise": "strength", "model.test_attack": "radius"}


def _axis_words(analysis: Analysis, axis: str, kind: str, family: Sequence[Column]) -> str:
    """Return what is on a sweep's axis: ``severity of fog`` where tests differ in a condition, else the setting's name."""
    conditions = {
        key for c in family for r in analysis.runs.records(c.place) for t in r["tested"] for key in t["conditions"]
    }
    if kind and len(conditions) == 1 and (quantity := _STRENGTHS.get(conditions.pop())):
        return f"{quantity} of {kind.replace('_', ' ')}"
    return f"{axis.replace('_', ' ')} {kind}".strip()


def _category_figure(analysis: Analysis, axis: str, where: str, family: Sequence[tuple[str, Column]]) -> Drawing:
    """Draw a score for values without an order: means and seeds, each function in a lane of its own."""
    score = family[0][1].score
    names = [name for name in analysis.runs.activations if any(name in column.scores for _, column in family)]
    colour = colours(analysis.runs.activations)
    figure, axes = figure_and_axes(0.8 + 0.22 * len(names) * len(family) ** 0.5)
    markers = "osD^vPX*"
    for level, activation in enumerate(reversed(names)):
        for index, (text, column) in enumerate(family):
            values = list(column.scores.get(activation, {}).values())
            if not values:
                continue
            at = level + 0.5 * (0.5 - (index + 0.5) / len(family))
            marker = markers[index % len(markers)]
            axes.plot(values, [at] * len(values), ".", color=colour[activation], alpha=0.35, markersize=4)
            axes.plot(float(np.mean(values)), at, marker, color=colour[activation], markersize=5)
            if activation == names[0]:
                axes.annotate(
                    text, (float(np.mean(values)), at), (0, 7), textcoords="offset points", ha="center", fontsize=7
                )
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_ylim(-0.6, len(names) - 0.3)
    axes.set_xlabel(score.title)
    key = ", ".join(f"{text}: {_MARKER_NAMES[index % len(markers)]}" for index, (text, _) in enumerate(family))
    title = f"{score.label[0].upper()}{score.label[1:]} by {axis.replace('_', ' ')}: {where}"
    return Drawing(slug("sweep", axis, where), "sweep", title, f"Mean over seeds, dots: single seeds ({key}).", figure)


_MARKER_NAMES = ["circle", "square", "diamond", "triangle", "triangle down", "plus", "cross", "star"]
