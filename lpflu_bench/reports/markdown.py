"""The report as Markdown."""

from collections.abc import Iterable, Sequence

from lpflu_bench.inference.ranks import Ranks
from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.replication import Replication, differing_note
from lpflu_bench.reports.runs import place_text
from lpflu_bench.reports.sections import Section
from lpflu_bench.reports.tables import (
    COMPARISON_HEAD,
    REPLICATION_HEAD,
    comparison_line,
    overviews,
    replication_lines,
)
from lpflu_bench.reports.wording import (
    PAPER_NOTE,
    column_title,
    gap_notes,
    method_notes,
    noise_note,
    ranks_lines,
    replication_sentence,
    sentences,
)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]], texts: int = 1) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    rule = "|---" * texts + "|---:" * (len(head) - texts) + "|"
    return "\n".join([line(head), rule, *(line(cells) for cells in lines)])


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def markdown(analysis: Analysis, sections: Sequence[Section] = ()) -> str:
    """Return the whole report as Markdown: what is decided first, then the tables."""
    spec = analysis.spec
    parts = [f"# {spec.title}", spec.description, f"*{spec.narrowed}*" if spec.narrowed else ""]
    parts.append("## What is decided")
    for column in analysis.main_columns:
        said = " ".join(sentence for _, sentence in sentences(column))
        parts.append(f"**{place_text(spec, column.place)}, {column.score.label}** {said}")
    if not analysis.columns:
        parts.append("No run has finished yet.")
    for overview in overviews(analysis):
        lines = [
            [name, *(f"**{cell.text}**" if cell.bold else cell.text for cell in cells)]
            for name, cells in overview.lines
        ]
        parts += [f"## {overview.title}", _table(overview.head, lines)]
    parts.append(f"## Compared with {spec.reference}")
    for column in analysis.columns:
        lines = [comparison_line(row, column) for row in column.rows]
        parts += [f"### {column_title(column, analysis)}", _table(COMPARISON_HEAD, lines)]
        parts.append(noise_note(column))
    parts.append(_list(method_notes(analysis)))
    parts.append("## Average ranks")
    ranks = analysis.ranks
    parts.append(_list(ranks_lines(ranks)) if isinstance(ranks, Ranks) else ranks)
    if analysis.replication is not None:
        parts += _replication(analysis, analysis.replication)
    for section in sections:
        parts += [f"## {section.title}", section.note]
        for table in section.tables:
            parts += [f"### {table.title}" if table.title else "", _table(table.head, table.lines, table.texts)]
    if gaps := gap_notes(analysis):
        parts += ["## Not in the numbers", _list(gaps)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _replication(analysis: Analysis, replication: Replication) -> list[str]:
    parts = [f"## Against the paper ({replication.table})"]
    for item in replication.columns:
        parts.append(f"### {column_title(item.column, analysis)}")
        parts.append(_table(REPLICATION_HEAD, replication_lines(item)))
        parts.append(differing_note(item) or replication_sentence(item, analysis.spec.reference))
    return [*parts, _list([*([PAPER_NOTE] if replication.columns else []), *replication.notes])]
