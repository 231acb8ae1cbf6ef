"""Every output of one report says the same: a property over random studies."""

import csv
import html
import io
import re

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_records import grid, spec

from lpflu_bench.inference.rule import Rule
from lpflu_bench.reports import figures
from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.latex import latex
from lpflu_bench.reports.markdown import markdown
from lpflu_bench.reports.page import page
from lpflu_bench.reports.tables import result_rows

NAMES = ["relu", "lpflu", "mish", "gish", "smu", "pflu"]
SIGNS = {"better": "+", "worse": "-", "equivalent": "=", "undecided": "?", "not judged": r"\circ"}


@st.composite
def studies(draw):
    names = NAMES[: draw(st.integers(2, 6))]
    effects = {name: draw(st.sampled_from([0.0, 0.1, -0.3, 1.0, -2.0])) for name in names}
    seeds = draw(st.integers(1, 8))
    records = grid(
        seeds,
        draw(st.sampled_from([0.02, 0.2, 1.0])),
        functions=names,
        effects=effects,
        rng_seed=draw(st.integers(0, 10_000)),
        batch_size=draw(st.sampled_from([[16], [16, 32]])),
    )
    for item in records:
        item["trained"]["curve"] = []
        fate = draw(st.sampled_from(["ok"] * 12 + ["failed", "diverged", "gone"]))
        if item["trained"]["activation"] == "relu" or fate == "ok":
            continue
        error = "the loss is not finite at epoch 1, step 2" if fate == "diverged" else "out of memory"
        item.update(status="failed", error=error, tested=[])
    rule = Rule(
        level=draw(st.sampled_from([0.05, 0.2])),
        margin=draw(st.sampled_from([{}, {"": 0.3}, {"top1_error": 1.0}])),
        looks=draw(st.sampled_from([(), (3, seeds) if seeds > 3 else ()])),
    )
    only = draw(st.sampled_from([{}, {"activation": (names[-1],)}]))
    return spec(["batch_size"], reference="relu", rule=rule, only=only), records


def csv_verdicts(analysis):
    text = io.StringIO()
    rows = result_rows(analysis)
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    lines = list(csv.DictReader(io.StringIO(text.getvalue())))
    return {(r["batch_size"], r["metric"], r["activation"]): r for r in lines}


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(studies())
def test_no_two_outputs_contradict(study):
    report_spec, records = study
    analysis = analyse(report_spec, records)
    table = csv_verdicts(analysis)
    parsed = [_markdown(markdown(analysis)), _latex(latex(analysis)), _page(analysis)]
    for column in analysis.columns:
        where = (column.place.setting[0], column.score.name)
        for row in column.rows:
            word, interval = row.verdict.word, row.interval
            line = table[(*where, row.activation)]
            assert line["verdict"] == word
            # The word follows from the printed interval.
            excludes = interval is not None and (interval.low > 0 or interval.high < 0)
            assert (word in ("better", "worse")) == excludes
            inside = interval is not None and interval.within(column.margin)
            assert (word == "equivalent") == (inside and not excludes)
            assert row.verdict.below_margin == (inside and excludes)
            assert (word == "undecided") == (interval is not None and not excludes and not inside)
            if word in ("better", "worse"):
                assert (np.sign(row.comparison.difference) < 0) == (word == "better")
            assert (line["best"] == "True") == (row.activation == column.best)
        if column.best is not None and column.best != column.reference:
            winner = column.row(column.best)
            assert winner.verdict.word == "better"
            shown = [row for row in column.rows if row.comparison]
            assert winner.comparison.difference == min(row.comparison.difference for row in shown) or any(
                row.comparison.n != winner.comparison.n for row in shown
            )
        if column.best == column.reference:
            assert all(row.verdict.word in ("worse", "reference") for row in column.rows)
    for read in parsed:
        for key, (word, best) in read.items():
            line = table[key]
            assert word is None or line["verdict"] == word, (key, word)
            assert best is None or (line["best"] == "True") == best
    for drawing in figures.draw_all(analysis):
        if drawing.kind == "intervals":
            axes = drawing.figure.axes[0]
            labels = [tick.get_text() for tick in axes.get_yticklabels()]
            words = [text.get_text() for text in axes.texts]
            setting = re.search(r"batch_size (\d+)", drawing.title)[1]
            for label, word in zip(labels, words, strict=True):
                assert table[setting, "top1_error", label]["verdict"] == word


def _sections(text, mark):
    for part in text.split(mark)[1:]:
        title, _, body = part.partition("\n")
        found = re.search(r"batch_size (\d+): (top-\d) error", title)
        if found:
            yield (found[1], f"{found[2].replace('-', '')}_error"), body


def _markdown(text):
    """(setting, metric, function) -> (verdict, None) of the comparison tables."""
    compared = text[text.index("## Compared with") :]
    found = {}
    for where, body in _sections(compared, "### "):
        for line in body.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == 8 and cells[0] not in ("function", "---"):
                found[(*where, cells[0])] = (re.match(r"[a-z ]+?(?= \(|$)", cells[6])[0], None)
    return found


def _latex(text):
    """The marks of the comparison tables."""
    found = {}
    for table in text.split(r"\begin{table}")[1:]:
        caption = re.search(r"batch\\_size (\d+): (top-\d) error.*difference to", table)
        if not caption:
            continue
        body = table[table.index(r"\midrule") : table.index(r"\bottomrule")]
        for line in body.splitlines()[1:]:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)&", line)]
            mark = re.search(r"\$\^\{\(?(.*?)\)?\}\$$", cells[3])
            word = {sign: name for name, sign in SIGNS.items()}[mark[1]] if mark else None
            found[caption[1], f"{caption[2].replace('-', '')}_error", cells[0]] = (word, None)
    return found


def _page(analysis):
    """Words and bold of the page's comparison tables."""
    text = page(analysis, [])
    found = {}
    section = text[text.index('<section id="compared">') : text.index('<section id="ranks">')]
    blocks = re.split(r"<h3>|<summary>(?!config)", section)[1:]
    setting = None
    for block in blocks:
        title = block[: block.index("</")]
        setting = (re.search(r"batch_size (\d+)", title) or [None, setting])[1]
        metric = re.search(r"top-(\d) error", title)
        if not metric:
            continue
        for row in re.findall(r'<tr class="[^"]*">\s*<td class="name">(.*?)</td>(.*?)</tr>', block, re.S):
            word = html.unescape(re.search(r'<span class="chip [^"]*">(.*?)</span>', row[1])[1])
            found[setting, f"top{metric[1]}_error", row[0]] = (word, "data-value" in row[1] and "<b>" in _mean(row[1]))
    return found


def _mean(row):
    return re.search(r'data-label="mean ± sd"[^>]*>(.*?)</td>', row, re.S)[1]
