"""The tables of a report as texts: overviews, comparisons with the reference, published differences; and as rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.columns import Column, Row
from lpflu_bench.reports.replication import ReplicatedColumn, Replication
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.wording import difference_text, interval_text, mean_text, number, row_notes, weights_text

_MAX_COLUMNS = 6
_MAX_FUNCTIONS_ACROSS = 8


@dataclass(frozen=True)
class Cell:
    """A table cell: its text, the row behind it and whether it is set in bold."""

    text: str
    bold: bool = False
    row: Row | None = None


@dataclass(frozen=True)
class Overview:
    """One task's results at a glance: means and spreads, functions against settings.

    Attributes:
        title: task and kind of weights.
        head: column names; the first one names the rows.
        lines: each a row name and its cells.
    """

    title: str
    head: list[str]
    lines: list[tuple[str, list[Cell]]] = field(default_factory=list)


def groups(columns: Sequence[Column]) -> dict[tuple[str, str], list[Column]]:
    """Return the columns by (task, weights), in order."""
    grouped: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        grouped.setdefault((column.place.task, column.weights), []).append(column)
    return grouped


def setting_title(column: Column, spec: ReportSpec) -> list[str]:
    """Return setting and score as parts of a head: ``optimizer adam``, ``top-1 error (%)``."""
    setting = [f"{axis} {value}" for axis, value in zip(spec.axes, column.place.setting, strict=True)]
    return [*setting, column.score.title]


def overviews(analysis: Analysis) -> list[Overview]:
    """Return an overview for each task and kind of weights.

    Functions are the rows while the settings fit beside one another, else the columns.
    """
    result = []
    for (task, _), group in groups(analysis.columns).items():
        words = weights_text(group[0], analysis.columns)
        title = task + (f", {words}" if words else "")
        names = [row.activation for row in group[0].rows]
        cells = [[Cell(mean_text(row), row.activation == column.best, row) for row in column.rows] for column in group]
        heads = [", ".join(setting_title(column, analysis.spec)) for column in group]
        if len(group) <= _MAX_COLUMNS or len(names) > _MAX_FUNCTIONS_ACROSS:
            lines = [(name, [column[index] for column in cells]) for index, name in enumerate(names)]
            result.append(Overview(title, ["function", *heads], lines))
        else:
            result.append(Overview(title, ["setting", *names], list(zip(heads, cells, strict=True))))
    return result


COMPARISON_HEAD = ["function", "n", "mean ± sd", "median", "difference", "interval", "verdict", "notes"]


def comparison_line(row: Row, column: Column) -> list[str]:
    """Return a row's texts under :data:`COMPARISON_HEAD`."""
    return [
        row.activation,
        str(len(row.seeds)),
        mean_text(row),
        number(row.median),
        difference_text(row),
        interval_text(row.interval),
        str(row.verdict),
        "; ".join(row_notes(row, column)),
    ]


REPLICATION_HEAD = ["function", "published difference", "measured difference", "interval", "finding", "size agrees"]


def replication_lines(item: ReplicatedColumn) -> list[list[str]]:
    """Return a column's texts under :data:`REPLICATION_HEAD`."""
    return [
        [
            pair.activation,
            number(pair.published, signed=True),
            number(pair.difference, signed=True),
            interval_text(pair.interval),
            str(pair.finding),
            {True: "yes", False: "no", None: "–"}[pair.size_agrees],
        ]
        for pair in item.pairs
    ]


def result_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """Return one row for each function, place, kind of weights and score, with everything that was computed."""
    lines = []
    for column in analysis.columns:
        for row in column.rows:
            comparison, interval = row.comparison, row.interval
            lines.append(
                {
                    **_where(analysis.spec, column),
                    "direction": column.score.direction,
                    "unit": column.score.unit,
                    "activation": row.activation,
                    "n": len(row.seeds),
                    "seeds": " ".join(map(str, row.seeds)),
                    "diverged": " ".join(map(str, row.diverged)),
                    "mean": row.mean,
                    "median": row.median,
                    "sd": row.sd,
                    "reference": column.reference,
                    "n_paired": comparison.n if comparison else 0,
                    "difference": comparison and comparison.difference,
                    "difference_sd": comparison.sd if comparison and comparison.n > 1 else None,
                    "noise": comparison.noise if interval and comparison else None,
                    "low": interval and interval.low,
                    "high": interval and interval.high,
                    "level": analysis.spec.rule.level,
                    "margin": column.margin,
                    "look": row.look or None,
                    "verdict": row.verdict.word,
                    "below_margin": row.verdict.below_margin,
                    "reason": row.verdict.reason,
                    "best": row.activation == column.best,
                    "images_low": row.for_images and row.for_images.low,
                    "images_high": row.for_images and row.for_images.high,
                    "notes": "; ".join(row_notes(row, column)),
                }
            )
    return lines


def replication_rows(analysis: Analysis, replication: Replication) -> list[dict[str, Any]]:
    """Return one row for each published difference that has a measured one."""
    return [
        {
            **_where(analysis.spec, item.column),
            "activation": pair.activation,
            "reference": item.column.reference,
            "published": pair.published,
            "measured": pair.difference,
            "low": pair.interval and pair.interval.low,
            "high": pair.interval and pair.interval.high,
            "finding": pair.finding,
            "size_agrees": pair.size_agrees,
            "differing_settings": " ".join(item.differing),
        }
        for item in replication.columns
        for pair in item.pairs
    ]


def _where(spec: ReportSpec, column: Column) -> dict[str, str]:
    return {
        "task": column.place.task,
        **dict(zip(spec.axes, column.place.setting, strict=True)),
        "weights": column.weights,
        "metric": column.score.name,
    }
