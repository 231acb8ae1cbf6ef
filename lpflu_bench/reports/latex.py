"""The report's tables as LaTeX."""

import re
from collections.abc import Iterable, Sequence

from lpflu_bench.reports.results import Block
from lpflu_bench.reports.runs import place_text
from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.reports.tables import COMPARISON_HEAD, Cell, comparison_line, overviews
from lpflu_bench.reports.wording import weights_text

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
    """Return the overview and the comparisons as LaTeX tables; they need the package booktabs alone."""
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

    def join(cells: Iterable[str]) -> str:
        return "  " + " & ".join(cells) + r" \\"

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
