"""The tables of a report as texts: overviews, comparisons with the reference, comparisons with the paper."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lpflu_bench.reports.published import BlockComparison
from lpflu_bench.reports.results import Block, Row
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.wording import interval_text, mean_text, number, p_text, share_text, weights_text

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
        task: the task.
        weights: ``raw`` or ``averaged``.
        head: column names; the first one names the rows.
        lines: each a row name and its cells.
    """

    title: str
    task: str
    weights: str
    head: list[str]
    lines: list[tuple[str, list[Cell]]] = field(default_factory=list)


def groups(blocks: Sequence[Block]) -> dict[tuple[str, str], list[Block]]:
    """Return the blocks by (task, weights), in order."""
    grouped: dict[tuple[str, str], list[Block]] = {}
    for block in blocks:
        grouped.setdefault((block.place.task, block.weights), []).append(block)
    return grouped


def column_title(block: Block, spec: ReportSpec) -> str:
    """Return setting and metric: ``optimizer adam, top-1 error``."""
    setting = (f"{axis} {value}" for axis, value in zip(spec.axes, block.place.setting, strict=True))
    return ", ".join([*setting, block.metric.label])


def overviews(spec: ReportSpec, blocks: Sequence[Block]) -> list[Overview]:
    """Return an overview for each task and kind of weights.

    Functions are the rows while the settings fit beside one another, else the columns.
    """
    result = []
    for (task, weights), group in groups(blocks).items():
        words = weights_text(weights, blocks)
        title = task + (f", {words}" if words else "")
        names = [row.activation for row in group[0].rows]
        columns = [[Cell(mean_text(row), row.activation == block.best, row) for row in block.rows] for block in group]
        heads = [f"{column_title(block, spec)} ({block.metric.unit})" for block in group]
        if len(group) <= _MAX_COLUMNS or len(names) > _MAX_FUNCTIONS_ACROSS:
            lines = [(name, [column[index] for column in columns]) for index, name in enumerate(names)]
            result.append(Overview(title, task, weights, ["function", *heads], lines))
        else:
            lines = list(zip(heads, columns, strict=True))
            result.append(Overview(title, task, weights, ["setting", *names], lines))
    return result


COMPARISON_HEAD = ["function", "n", "mean ± sd", "difference", "interval", "p (Holm)", "P(better)", "verdict", "notes"]


def comparison_line(row: Row) -> list[str]:
    """Return a row's texts under :data:`COMPARISON_HEAD`."""
    pair = row.paired
    return [
        row.activation,
        str(len(row.seeds)),
        mean_text(row),
        number(pair.difference, signed=True) if pair else "–",
        interval_text(pair.interval, signed=True) if pair else "–",
        p_text(row.p_holm),
        share_text(pair.improvement) if pair else "–",
        row.verdict,
        "; ".join(row.notes),
    ]


PAPER_HEAD = ["function", "n", "measured", "interval", "published", "difference", "published inside"]


def paper_lines(item: BlockComparison) -> list[list[str]]:
    """Return a block's texts under :data:`PAPER_HEAD`."""
    return [
        [
            cell.activation,
            str(cell.n),
            number(cell.measured),
            interval_text(cell.interval),
            number(cell.published),
            number(cell.difference, signed=True),
            {True: "yes", False: "no", None: "–"}[cell.inside],
        ]
        for cell in item.cells
    ]
