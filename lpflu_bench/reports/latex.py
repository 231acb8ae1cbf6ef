"""The report's tables as LaTeX, each narrow enough for one column of a two-column page."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from lpflu_bench.inference.verdicts import Word
from lpflu_bench.reports.analysis import Analysis
from lpflu_bench.reports.columns import Column, Row
from lpflu_bench.reports.tables import groups, setting_title
from lpflu_bench.reports.wording import (
    column_title,
    difference_text,
    interval_text,
    level_text,
    mean_text,
    weights_text,
)

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
_MARKS = {
    Word.BETTER: "+",
    Word.WORSE: "-",
    Word.EQUIVALENT: "=",
    Word.UNDECIDED: "?",
    Word.NOT_JUDGED: r"\circ",
}
_WIDTH = 236.0
"""Points that a table may be wide: a column of the usual two-column classes has 240 to 252."""
_LETTER = 4.3
"""Points of a letter in \\footnotesize, on the wide side."""
_GAP = 6.0
"""Points between two columns."""
_LONGEST_NAME = 18
"""Letters of a function's name on one line."""


def latex_escape(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _mark(row: Row) -> str:
    mark = _MARKS.get(row.verdict.word)
    if mark is None:
        return ""
    return f"$^{{({mark})}}$" if row.verdict.below_margin else f"$^{{{mark}}}$"


def _legend(analysis: Analysis) -> str:
    """Return what the marks mean, those that occur."""
    rows = [row for column in analysis.columns for row in column.rows]
    meaning = {
        Word.BETTER: "better",
        Word.WORSE: "worse",
        Word.EQUIVALENT: "equivalent",
        Word.UNDECIDED: "undecided",
        Word.NOT_JUDGED: "not judged",
    }
    present = [word for word in meaning if any(row.verdict.word == word for row in rows)]
    marks = ", ".join(f"$^{{{_MARKS[word]}}}$ {meaning[word]}" for word in present)
    if any(row.verdict.below_margin for row in rows):
        marks += ", in parentheses: by less than the margin"
    reference = latex_escape(analysis.spec.reference)
    together = f"{latex_escape(level_text(analysis.spec))} intervals of a column hold together"
    return f"Against {reference}: {marks} ({together}). " if marks else ""


def _columns_that_fit(analysis: Analysis, columns: Sequence[Column]) -> Iterator[list[Column]]:
    """Cut a task's columns into tables that fit."""
    names = 10 + _LETTER * min(max(len(row.activation) for row in columns[0].rows), _LONGEST_NAME)
    taken: list[Column] = []
    used = names
    for column in columns:
        letters = max(
            *(len(mean_text(row)) for row in column.rows), *(len(t) for t in setting_title(column, analysis.spec))
        )
        width = _LETTER * (letters + 1) + _GAP
        if taken and used + width > _WIDTH:
            yield taken
            taken, used = [], names
        taken.append(column)
        used += width
    yield taken


def latex(analysis: Analysis) -> str:
    """Return the overviews and the comparisons as LaTeX tables; they need the package booktabs alone."""
    spec = analysis.spec
    label = re.sub(r"[^A-Za-z0-9]+", "-", spec.name)
    parts = ["% Needs \\usepackage{booktabs}. Every table fits a column of 240 pt."]
    if spec.narrowed:
        parts.append(f"% {spec.narrowed}")
    legend = _legend(analysis)
    number = 0
    for (task, _), group in groups(analysis.columns).items():
        words = weights_text(group[0], analysis.columns)
        title = latex_escape(f"{spec.title}: {task}" + (f", {words}" if words else ""))
        for columns in _columns_that_fit(analysis, group):
            number += 1
            lines = []
            for index, first in enumerate(columns[0].rows):
                cells = []
                for column in columns:
                    row = column.rows[index]
                    text = latex_escape(mean_text(row))
                    text = rf"\textbf{{{text}}}" if row.activation == column.best else text
                    cells.append(text + _mark(row))
                lines.append([_function(first.activation), *cells])
            heads = [_stacked(setting_title(column, spec)) for column in columns]
            caption = f"{title}. Mean $\\pm$ sd over seeds. {legend}Bold: better than every other function."
            parts.append(_table(["function", *heads], lines, caption, f"tab:{label}-{number}"))
    for index, column in enumerate(analysis.columns, 1):
        lines = [
            [
                _function(row.activation),
                str(len(row.seeds)),
                latex_escape(mean_text(row)),
                latex_escape(difference_text(row)) + _mark(row),
                latex_escape(interval_text(row.interval)),
            ]
            for row in column.rows
        ]
        caption = (
            f"{latex_escape(column_title(column, analysis))}: difference to {latex_escape(spec.reference)}. {legend}"
        )
        head = ["function", "$n$", r"mean $\pm$ sd", "difference", "interval"]
        parts.append(_table(head, lines, caption.strip(), f"tab:{label}-compared-{index}"))
    return "\n\n".join(parts) + "\n"


def _stacked(parts: Sequence[str], side: str = "r") -> str:
    """Return a cell of several lines."""
    return rf"\shortstack[{side}]{{" + r"\\".join(map(latex_escape, parts)) + "}"


def _function(name: str) -> str:
    """Return a function's name; a long one is broken after underscores."""
    lines = [line.replace("_ ", "_") for line in textwrap.wrap(name.replace("_", "_ "), _LONGEST_NAME)]
    return latex_escape(name) if len(lines) == 1 else _stacked(lines, "l")


def _table(head: Sequence[str], lines: Iterable[Sequence[str]], caption: str, label: str) -> str:
    def join(cells: Iterable[str]) -> str:
        return "  " + " & ".join(cells) + r" \\"

    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\footnotesize",
            rf"\setlength{{\tabcolsep}}{{{_GAP / 2:g}pt}}",
            rf"\caption{{{caption}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{@{{}}l{'r' * (len(head) - 1)}@{{}}}}",
            r"\toprule",
            join(head),
            r"\midrule",
            *map(join, lines),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )
