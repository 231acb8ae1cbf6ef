"""Result tables as Markdown and LaTeX."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lpflu_bench.studies import statistics
from lpflu_bench.studies.published import PaperComparison
from lpflu_bench.studies.report_spec import ReportSpec
from lpflu_bench.studies.results import Block, Row
from lpflu_bench.studies.runs import Runs, place_text

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


def number(value: float | None, *, signed: bool = False) -> str:
    """Return a number as the tables print it: two decimals, a real minus sign, a dash for none."""
    if value is None or value != value:
        return "–"
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return text.replace("-", "−")


def interval_text(interval: statistics.Interval | None, *, signed: bool = False) -> str:
    """Return ``[low, high]``."""
    if interval is None:
        return "–"
    return f"[{number(interval.low, signed=signed)}, {number(interval.high, signed=signed)}]"


def p_text(p: float | None) -> str:
    """Return a p value."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def mean_text(row: Row) -> str:
    """Return ``mean ± sd``, the mean alone for a single run."""
    return number(row.mean) + (f" ± {number(row.sd)}" if row.sd is not None else "")


def share_text(share: float | None) -> str:
    """Return a probability in percent."""
    return "–" if share is None else f"{100 * share:.0f} %"


def groups(blocks: Sequence[Block]) -> dict[tuple[str, str], list[Block]]:
    """Return the blocks by (task, weights), in order."""
    grouped: dict[tuple[str, str], list[Block]] = {}
    for block in blocks:
        grouped.setdefault((block.place.task, block.weights), []).append(block)
    return grouped


def weights_text(weights: str, blocks: Iterable[Block]) -> str:
    """Return which weights were scored, in words; nothing where no run averaged its weights."""
    if all(block.weights == "raw" for block in blocks):
        return ""
    return "averaged weights" if weights == "averaged" else "raw weights"


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


def method_notes(spec: ReportSpec, blocks: Sequence[Block]) -> list[str]:
    """Return how to read the tables, in sentences; only what applies to these blocks."""
    level = f"{100 * spec.confidence:g} %"
    pairs = [(block, row.paired) for block in blocks for row in block.rows if row.paired]
    notes = [
        f"Difference: the function's value minus that of {spec.reference}, averaged over the seeds both have. The same "
        "seed gives every function the same initial weights and data order, so differences are paired.",
    ]
    if any(pair.n >= statistics.MIN_SEEDS for _, pair in pairs):
        notes.append(
            f"Interval: {level}, from Student's t of the paired differences, for one comparison at a time. p: two-sided "
            "paired t-test, Holm-corrected over the functions of its column. A function is called better or worse only "
            f"if the corrected p is below {1 - spec.confidence:g}."
        )
    if any(pair.n == 2 for _, pair in pairs):
        notes.append(
            f"Two seeds give an interval (Student's t with one degree of freedom) but no verdict: that takes "
            f"{statistics.MIN_SEEDS}."
        )
    single = [(block, pair) for block, pair in pairs if pair.n == 1]
    if any(pair.interval for _, pair in single):
        notes.append(
            f"Single runs: the interval ({level}, Newcombe's from two Wilson intervals) covers the sampling of the test "
            "set alone, not the spread over seeds, so it supports no verdict."
        )
    if without := sorted({block.metric.label for block, pair in single if pair.interval is None}):
        notes.append(
            f"Single runs of {', '.join(without)} have no interval: the metric is no share of independent test samples, "
            "so no binomial interval applies."
        )
    notes += [
        "P(better): share of the common seeds in which the function is better than the reference, ties counting half.",
        "Not separable: the data do not show a difference; they do not show that there is none. The number of seeds "
        f"that would be needed is for {100 * statistics.POWER:g} % power at the corrected level, if the observed mean "
        "and spread of the differences were the true ones: an order of magnitude, no more.",
        "Bold: the best value of a column, only where it is separable from every other one (paired t-tests, Holm).",
    ]
    return notes


def gap_notes(spec: ReportSpec, runs: Runs) -> list[str]:
    """Return one sentence for each planned run without a result, runs that are simply missing taken together."""
    notes = []
    missing = [gap for gap in runs.gaps if gap.status == "missing"]
    for gap in runs.gaps:
        if gap.status != "missing":
            state = "failed" if gap.status == "failed" else "was trained but not tested"
            error = f": {gap.error}" if gap.error else ""
            notes.append(f"{place_text(spec, gap.place)}, {gap.activation}, seed {gap.seed} {state}{error}")
    if missing:
        notes.append(f"{len(missing)} planned run{'s have' if len(missing) > 1 else ' has'} no result yet.")
    if runs.duplicates:
        notes.append(f"{runs.duplicates} further finished records of the same runs were left out; the latest counts.")
    return notes


def ranks_lines(ranks: statistics.Ranks) -> list[str]:
    """Return the average ranks in words."""
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.average.items())
    p = "undefined (all tied)" if ranks.p != ranks.p else p_text(ranks.p)
    lines = [
        f"Average rank over {ranks.rows} data rows (1 is best): {order}.",
        f"Friedman's test: p {p if p.startswith('<') else f'= {p}'}. Nemenyi's critical difference at "
        f"{ranks.alpha:g}: {ranks.critical_difference:.2f} ranks.",
    ]
    if ranks.p < ranks.alpha:
        together = "; ".join(" – ".join(group) for group in ranks.groups) or "none"
        lines.append(f"Not separable from one another: {together}.")
    else:
        lines.append("Friedman's test does not find the functions to differ, so no pair is told apart.")
    return lines


def ordering_text(item_ordering: object) -> str:
    """Return how the paper's order fared, in words."""
    from lpflu_bench.studies.published import Ordering

    if not isinstance(item_ordering, Ordering):
        return "Fewer than two functions in common: no order to compare."
    order = item_ordering
    tau = "undefined" if order.tau != order.tau else number(order.tau, signed=True)
    text = f"The paper's order holds in {order.kept} of {order.pairs} pairs (Kendall's tau {tau})."
    if order.reversed:
        text += f" Otherwise here: {_pairs_text(order.reversed)}."
        text += (
            f" Separably so: {_pairs_text(order.contradicted)}."
            if order.contradicted
            else " None of these is a separable difference."
        )
    return text


def _pairs_text(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{better} before {worse}" for better, worse in pairs)


def _markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]], left: int = 1) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    rule = "|" + "|".join("---" if index < left else "---:" for index in range(len(head))) + "|"
    return "\n".join([line(head), rule, *(line(cells) for cells in lines)])


def markdown(
    spec: ReportSpec,
    runs: Runs,
    blocks: Sequence[Block],
    ranks: statistics.Ranks | str,
    paper: PaperComparison | None,
) -> str:
    """Return the whole report as Markdown."""
    parts = [f"# {spec.title}", spec.description]
    for overview in overviews(spec, blocks):
        lines = [
            [name, *(f"**{cell.text}**" if cell.bold else cell.text for cell in cells)]
            for name, cells in overview.lines
        ]
        parts += [f"## {overview.title}", _markdown_table(overview.head, lines)]
    parts.append(f"## Compared with {spec.reference}")
    for block in blocks:
        words = weights_text(block.weights, blocks)
        title = f"{place_text(spec, block.place)}: {block.metric.title}" + (f", {words}" if words else "")
        parts += [f"### {title}", _markdown_table(COMPARISON_HEAD, map(comparison_line, block.rows))]
    parts.append("\n".join(f"- {note}" for note in method_notes(spec, blocks)))
    parts.append("## Average ranks")
    parts.append(ranks if isinstance(ranks, str) else "\n".join(f"- {line}" for line in ranks_lines(ranks)))
    if paper is not None:
        parts += _markdown_paper(spec, paper)
    if gaps := gap_notes(spec, runs):
        parts += ["## Not in the numbers", "\n".join(f"- {note}" for note in gaps)]
    return "\n\n".join(part for part in parts if part) + "\n"


PAPER_HEAD = ["function", "n", "measured", "interval", "published", "difference", "published inside"]
PAPER_NOTE = (
    "Interval: where one further run is expected, from the spread over seeds; for a single run the binomial interval of "
    "the test set. The published values are single runs without a stated seed."
)


def paper_lines(item: object) -> list[list[str]]:
    """Return a block's texts under :data:`PAPER_HEAD`."""
    from lpflu_bench.studies.published import BlockComparison

    assert isinstance(item, BlockComparison)
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


def _markdown_paper(spec: ReportSpec, paper: PaperComparison) -> list[str]:
    parts = [f"## Against the paper ({paper.table})"]
    for item in paper.blocks:
        parts.append(f"### {place_text(spec, item.block.place)}: {item.block.metric.title}")
        parts.append(_markdown_table(PAPER_HEAD, paper_lines(item)))
        parts.append(ordering_text(item.ordering))
    notes = [*([PAPER_NOTE] if paper.blocks else []), *paper.notes]
    return [*parts, "\n".join(f"- {note}" for note in notes)]


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
}


def latex_escape(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


_MARKS = {"better": r"$^{+}$", "worse": r"$^{-}$"}


def latex(spec: ReportSpec, blocks: Sequence[Block]) -> str:
    """Return the overview and the comparisons as LaTeX tables; they need ``\\usepackage{booktabs}`` alone."""
    label = re.sub(r"[^A-Za-z0-9]+", "-", spec.name)
    parts = ["% Needs \\usepackage{booktabs}."]

    def overview_cell(cell: Cell) -> str:
        text = latex_escape(cell.text)
        text = rf"\textbf{{{text}}}" if cell.bold else text
        return text + (_MARKS.get(cell.row.judgement, "") if cell.row else "")

    marks = (
        f"$^{{+}}$ / $^{{-}}$: better / worse than {latex_escape(spec.reference)} (paired $t$-test over seeds, "
        f"Holm-corrected, level {1 - spec.confidence:g}). Bold: separable from every other function."
    )
    for index, overview in enumerate(overviews(spec, blocks), 1):
        lines = [[latex_escape(name), *map(overview_cell, cells)] for name, cells in overview.lines]
        caption = f"{latex_escape(f'{spec.title}: {overview.title}')}. Mean $\\pm$ sd over seeds. {marks}"
        parts.append(_latex_table(overview.head, lines, caption, f"tab:{label}-{index}", "l", "r"))
    for index, block in enumerate(blocks, 1):
        words = weights_text(block.weights, blocks)
        where = f"{place_text(spec, block.place)}, {block.metric.title}" + (f", {words}" if words else "")
        lines = [[latex_escape(text) for text in comparison_line(row)[:-1]] for row in block.rows]
        caption = latex_escape(
            f"{where}: difference to {spec.reference} over common seeds, {100 * spec.confidence:g} % interval, "
            "Holm-corrected p, share of seeds in which the function is better."
        )
        parts.append(_latex_table(COMPARISON_HEAD[:-1], lines, caption, f"tab:{label}-compared-{index}", "l", "r", "l"))
    return "\n\n".join(parts) + "\n"


def _latex_table(
    head: Sequence[str], lines: Iterable[Sequence[str]], caption: str, label: str, first: str, rest: str, last: str = ""
) -> str:
    columns = first + rest * (len(head) - 1 - bool(last)) + last
    join: Callable[[Iterable[str]], str] = lambda cells: "  " + " & ".join(cells) + r" \\"  # noqa: E731
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            join(map(latex_escape, head)),
            r"\midrule",
            *map(join, lines),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )
