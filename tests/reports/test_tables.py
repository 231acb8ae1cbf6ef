import csv
import io
import re

import pytest
from synthetic_records import EFFECTS, FUNCTIONS, grid, spec

from lpflu_bench.inference.rule import Rule
from lpflu_bench.reports import page
from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.latex import latex, latex_escape
from lpflu_bench.reports.markdown import markdown
from lpflu_bench.reports.report import write_rows
from lpflu_bench.reports.tables import overviews, result_rows
from lpflu_bench.reports.wording import method_notes, number, sentences
from lpflu_bench.text import setting_text


def analysed(records, axes=(), **changes):
    return analyse(spec(axes, **changes), records)


def test_bold_only_where_better_than_every_other_function():
    best = analysed(grid(6, 0.02, effects=EFFECTS | {"lpflu": -2.0}), metrics=("top1_error",))
    assert best.columns[0].best == "lpflu"
    assert "**32" in markdown(best) or "**29" in markdown(best)
    assert r"\textbf{" in latex(best)
    assert ("better", "lpflu is better than every other function.") in sentences(best.columns[0])
    none = analysed(grid(3, 3.0), metrics=("top1_error",))
    assert none.columns[0].best is None
    assert not re.search(r"\| \*\*", markdown(none))
    assert r"\textbf{" not in latex(none)


def test_what_is_decided_comes_first_in_one_sentence_for_each_verdict():
    records = grid(5, 0.05, effects=EFFECTS | {"pflu": 0.0})
    column = analysed(records, metrics=("top1_error",), rule=Rule(margin={"": 0.6})).columns[0]
    said = sentences(column)
    words = [word for word, _ in said]
    assert words == sorted(words, key=["better", "worse", "equivalent", "undecided"].index)
    assert all(sum(name in sentence for _, sentence in said) >= 1 for name in FUNCTIONS)
    assert any(re.match(r"gish \(\+1\.\d\d \[.*\]\) and relu .* are worse than lpflu\.", text) for _, text in said)
    assert any("equivalent to lpflu within ±0.60" in text for _, text in said)


def test_notes_say_what_the_intervals_claim_and_only_what_applies():
    two = grid(3, optimizer=["adam", "sgd"])
    notes = " ".join(method_notes(analysed(two, ["optimizer"], rule=Rule(level=0.1))))
    assert "with new seeds, 90 % of such studies have none wrong" in notes
    assert "for this test set" in notes
    assert "Each of the 2 places has its own intervals" in notes
    assert "margin" not in notes
    assert "look" not in notes
    assert "no verdict" not in notes
    assert "at least 3 seeds" in " ".join(method_notes(analysed(grid(2))))


def test_latex_escapes_and_is_well_formed():
    assert latex_escape(r"50 % of a_b & $x$ #1 {y} ~ ^ < \ ") == (
        r"50 \% of a\_b \& \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} \textless{} \textbackslash{} "
    )
    text = latex(analysed(grid(3, batch_size=[16, 32]), ["batch_size"], title="100 % & more"))
    assert r"100 \% \& more" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") >= 5
    for table in text.split(r"\begin{tabular}")[1:]:
        columns = re.match(r"\{@\{\}(l?r*)@\{\}\}", table)[1]
        body = table[: table.index(r"\end{tabular}")]
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {re.sub(r"\\&", "", line).count("&") for line in rows} == {len(columns) - 1}


@pytest.mark.parametrize("sizes", [[16], [16, 32, 64, 128], list(range(10, 60))])
def test_latex_tables_fit_a_column(sizes):
    text = latex(analysed(grid(3, batch_size=sizes), ["batch_size"]))
    for table in text.split(r"\begin{tabular}")[1:]:
        body = table[: table.index(r"\end{tabular}")]
        rows = [line.strip().removesuffix(r"\\") for line in body.splitlines() if line.endswith(r"\\")]
        cells = [[_printed(cell) for cell in re.split(r"(?<!\\)&", row)] for row in rows]
        widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
        assert sum(widths) * 4.3 + 6 * (len(widths) - 1) <= 252, cells[0]


def _printed(cell):
    stacked = re.search(r"shortstack\[r\]\{(.*)\}", cell)
    parts = stacked[1].split(r"\\") if stacked else [cell]
    plain = [re.sub(r"\$\^\{(.*?)\}\$", "+", part) for part in parts]
    plain = [re.sub(r"\\textbf\{(.*)\}|\\pm|[$\\]", r"\1", part).strip() for part in plain]
    return max(plain, key=len)


def test_the_legend_names_the_marks_that_occur():
    text = latex(analysed(grid(5, 0.05), metrics=("top1_error",)))
    assert "$^{-}$ worse" in text
    assert "equivalent" not in text
    assert "hold together" in text


def test_many_settings_turn_the_overview_around():
    (overview,) = overviews(analysed(grid(3, batch_size=[16, 32, 64, 128]), ["batch_size"]))
    assert overview.head == ["setting", *sorted(FUNCTIONS)]
    assert overview.lines[0][0] == "batch_size 16, top-1 error (%)"


def test_texts():
    assert number(-0.5, signed=True) == "−0.50"
    assert number(None) == number(float("nan")) == "–"
    assert [setting_text(value) for value in (True, False, 0.002, 16, "adam", None)] == [
        "on",
        "off",
        "0.002",
        "16",
        "adam",
        "none",
    ]


def test_bars_show_small_differences_and_none_where_all_are_the_same():
    row = analysed(grid(5, 0.01), metrics=("top1_error",)).columns[0].row("mish")
    assert -0.5 < row.interval.low < row.comparison.difference < 0.5
    assert page._bar(row, 0.5)["point"] == pytest.approx(50 + 100 * row.comparison.difference, abs=0.01)
    assert page._bar(row, 0.0) is None


def test_result_rows_are_plain_csv(tmp_path):
    rows = result_rows(analysed(grid(3)))
    assert len(rows) == 12
    write_rows(tmp_path / "table.csv", rows)
    lines = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    gish = next(line for line in lines if line["activation"] == "gish" and line["metric"] == "top1_error")
    assert float(gish["low"]) < float(gish["difference"]) < float(gish["high"])
    assert gish["verdict"] == "worse"
    assert next(line for line in lines if line["activation"] == "lpflu")["low"] == ""
