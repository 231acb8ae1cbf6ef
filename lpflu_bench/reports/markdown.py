"""The report as Markdown."""

from collections.abc import Iterable, Sequence

from lpflu_bench.reports import statistics
from lpflu_bench.reports.published import PaperComparison
from lpflu_bench.reports.results import Block
from lpflu_bench.reports.runs import Runs, place_text
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.tables import COMPARISON_HEAD, PAPER_HEAD, comparison_line, overviews, paper_lines
from lpflu_bench.reports.wording import (
    PAPER_NOTE,
    gap_notes,
    method_notes,
    ordering_text,
    ranks_lines,
    weights_text,
)


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


def _markdown_paper(spec: ReportSpec, paper: PaperComparison) -> list[str]:
    parts = [f"## Against the paper ({paper.table})"]
    for item in paper.blocks:
        parts.append(f"### {place_text(spec, item.block.place)}: {item.block.metric.title}")
        parts.append(_markdown_table(PAPER_HEAD, paper_lines(item)))
        parts.append(ordering_text(item.ordering))
    notes = [*([PAPER_NOTE] if paper.blocks else []), *paper.notes]
    return [*parts, "\n".join(f"- {note}" for note in notes)]
