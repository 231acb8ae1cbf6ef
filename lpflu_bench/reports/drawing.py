"""What the figures of a report share: style, colours, labels at the lines, and how they are saved."""

import colorsys
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

INK = "#3c4043"
"""Colour of axes and text. The page replaces it by its own text colour, light or dark."""
WIDTH = 4.2
"""Inches of a figure: read on a telephone without shrinking, and a column of a page."""
_COLOURS = ["#0f7fc4", "#e0622b", "#1a9d76", "#c05a9b", "#d9970f", "#5f6bd1", "#7c8a1f", "#8a6b52"]
STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.color": "#808080",
    "grid.linewidth": 0.6,
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
        kind: ``intervals``, ``sweep``, ``curves``, ``cost`` or ``ranks``.
        title: what it shows.
        caption: how to read it.
        figure: the drawing.
    """

    name: str
    kind: str
    title: str
    caption: str
    figure: Figure


def svg_of(drawing: Drawing) -> str:
    """Lay out the figure's subplots and return it as SVG, the same text for the same figure."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        if any(axes.get_subplotspec() for axes in drawing.figure.axes):
            ConstrainedLayoutEngine().execute(drawing.figure)  # a figure with an engine is laid out at every saving
        drawing.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def save_svg(drawing: Drawing, folder: Path) -> str:
    """Write the figure as SVG, and return that."""
    svg = svg_of(drawing)
    (folder / f"{drawing.name}.svg").write_text(svg, encoding="utf-8")
    return svg


def save_pngs(drawings: Iterable[Drawing], folder: Path) -> None:
    """Write figures that were laid out for their SVG as PNG, the same bytes for the same figure."""
    with mpl.rc_context(STYLE):
        for drawing in drawings:
            drawing.figure.savefig(
                folder / f"{drawing.name}.png",
                dpi=160,
                facecolor="white",
                metadata={"Software": None},
                pil_kwargs={"compress_level": 3},
            )


def slug(*parts: str) -> str:
    """Return a file name of words."""
    return re.sub(r"[^a-z0-9.]+", "-", " ".join(parts).lower()).strip("-")


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each function, the same in every figure of a report and no colour twice.

    Beyond the eight of the palette, hues by the golden angle at three lightnesses; labels at the lines tell them apart.
    """
    made = {}
    for index, name in enumerate(names):
        if index < len(_COLOURS):
            made[name] = _COLOURS[index]
        else:
            red, green, blue = colorsys.hls_to_rgb((index * 0.381966) % 1, (0.36, 0.5, 0.62)[index % 3], 0.55)
            made[name] = f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
    return made


def figure_and_axes(height: float = 3.3) -> tuple[Figure, Axes]:
    """Return a figure of the report's width with one plot."""
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.add_subplot()


def height_for(labels: int, least: float = 3.3) -> float:
    """Return the height in inches at which this many labels fit one below the other."""
    return max(least, 0.9 + 0.15 * labels)


def label_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each line's name to the right of its end, in its colour, moved apart where they would overlap.

    Args:
        axes: drawn, with its limits.
        ends: (x, y, name, colour) of each line's last point.
    """
    low, high = axes.get_ylim()
    height = float(axes.get_figure(root=True).get_size_inches()[1]) - 0.9  # type: ignore[union-attr]
    at = spread_apart([(y - low) / (high - low) * height for _, y, _, _ in ends], 0.145, height)
    size = 8.5 if len(ends) <= 12 else 7
    for (_, _, name, colour), level in zip(ends, at, strict=True):
        axes.text(
            1.03, level / height, name, transform=axes.transAxes, color=colour, fontsize=size, va="center"
        )  # fmt: skip
    starts = (axes.transData + axes.transAxes.inverted()).transform([end[:2] for end in ends])
    axes.add_collection(
        LineCollection(
            [np.array([start, (1.025, level / height)]) for start, level in zip(starts, at, strict=True)],
            colors=[colour for *_, colour in ends],
            linewidths=0.5,
            alpha=0.6,
            transform=axes.transAxes,
            clip_on=False,
        ),
        autolim=False,
    )


def spread_apart(levels: Sequence[float], gap: float, height: float) -> list[float]:
    """Return levels at least ``gap`` apart, in their order, near where they were and within ``0..height`` if they fit."""
    order = np.argsort(levels, kind="stable")
    placed = np.array(levels, dtype=float)[order]
    for index in range(1, len(placed)):
        placed[index] = max(placed[index], placed[index - 1] + gap)
    if len(placed) and (over := placed[-1] - height) > 0:
        placed[-1] -= over
        for index in range(len(placed) - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - gap)
    result = np.empty_like(placed)
    result[order] = placed
    return [float(level) for level in result]
