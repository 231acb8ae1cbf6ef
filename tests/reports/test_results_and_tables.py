import csv
import io

import numpy as np
import pytest
from synthetic_records import EFFECTS, FUNCTIONS, detection, grid, record, spec

from lpflu_bench.reports.latex import latex, latex_escape
from lpflu_bench.reports.markdown import markdown
from lpflu_bench.reports.results import result_blocks, results_frame, study_ranks
from lpflu_bench.reports.runs import collect
from lpflu_bench.reports.statistics import Ranks
from lpflu_bench.reports.tables import overviews
from lpflu_bench.reports.wording import gap_notes, method_notes, number, p_text
from lpflu_bench.text import setting_text


def analysed(records, axes=(), **changes):
    study = spec(axes, **changes)
    runs = collect(study, records)
    return study, runs, result_blocks(study, runs)


def row(block, activation):
    return next(item for item in block.rows if item.activation == activation)


def test_rows_hold_mean_sd_and_the_paired_difference():
    records = grid(5, optimizer=["adam", "sgd"])
    study, _, blocks = analysed(records, ["optimizer"])
    assert [(block.place.setting, block.metric.name) for block in blocks] == [
        (("adam",), "top1_error"),
        (("adam",), "top5_error"),
        (("sgd",), "top1_error"),
        (("sgd",), "top5_error"),
    ]
    values = {
        name: [
            r["metrics"]["top1_error"] for r in records if r["activation"] == name and r["cell"]["optimizer"] == "adam"
        ]
        for name in FUNCTIONS
    }
    relu = row(blocks[0], "relu")
    assert relu.mean == pytest.approx(np.mean(values["relu"]))
    assert relu.sd == pytest.approx(np.std(values["relu"], ddof=1))
    assert relu.paired.difference == pytest.approx(np.mean(values["relu"]) - np.mean(values["lpflu"]))
    assert relu.verdict == "worse"
    assert row(blocks[0], "lpflu").verdict == "reference"
    frame = results_frame(study, blocks)
    assert len(frame) == 24
    assert set(frame["verdict"].str.partition(" (")[0]) >= {"worse", "reference", "not separable"}
    line = frame[(frame.activation == "relu") & (frame.metric == "top1_error") & (frame.optimizer == "adam")].iloc[0]
    assert (line["n_paired"], line["seeds"]) == (5, "0 1 2 3 4")


def test_holm_is_over_the_functions_of_a_column():
    _, _, blocks = analysed(grid(5, optimizer=["adam", "sgd"]), ["optimizer"])
    rows = [item for item in blocks[0].rows if item.paired]
    smallest = min(rows, key=lambda item: item.paired.p)
    assert smallest.p_holm == pytest.approx(min(1.0, 5 * smallest.paired.p))


def test_higher_is_better_turns_verdicts_around():
    records = grid(6, 0.05)
    for item in records:
        item["scores"] = [{**score, "direction": "higher"} for score in item["scores"]]
    _, _, blocks = analysed(records)
    assert row(blocks[0], "relu").verdict == "better"


def test_failed_missing_and_unequal_seeds_are_paired_on_common_ones_and_said():
    records = grid(5)
    by = {(r["activation"], r["seed"]): r for r in records}
    by["relu", 4].update(status="failed", error="loss is not finite", metrics={})
    by["mish", 3].update(status="fitted", metrics={})
    by["pflu", 2]["metrics"]["top1_error"] = float("nan")
    records.remove(by["lpflu", 0])
    study, runs, blocks = analysed(records)
    relu, mish, pflu = (row(blocks[0], name) for name in ("relu", "mish", "pflu"))
    assert relu.seeds == (0, 1, 2, 3)
    assert relu.paired.n == 3
    assert relu.notes == ("seed 4 failed", "paired on common seeds 1, 2, 3")
    assert mish.notes[0] == "seed 3 not tested"
    assert pflu.notes[0] == "seed 2 without a finite value"
    assert row(blocks[0], "lpflu").notes == ("seed 0 missing",)
    notes = gap_notes(study, runs)
    assert "cifar100, relu, seed 4 failed: loss is not finite" in notes
    assert "1 planned run has no result yet." in notes


def test_no_common_seed_and_no_reference_are_said():
    _, _, blocks = analysed([record("lpflu", 0, 31.0), record("relu", 1, 32.0)])
    assert row(blocks[0], "relu").verdict == "no common seed with the reference"
    _, _, blocks = analysed([record("relu", 1, 32.0)])
    assert row(blocks[0], "relu").verdict == "no result of the reference"
    study, runs, blocks = analysed([])
    assert blocks == []
    assert "No average rank" in markdown(study, runs, blocks, study_ranks(study, blocks), None)


def test_the_plan_gives_the_order_and_what_is_missing():
    planned = tuple(
        {"task": "cifar100", "activation": name, "seed": seed, "optimizer": optimizer}
        for optimizer in ("sgd", "adam")
        for name in FUNCTIONS
        for seed in range(3)
    )
    records = [record("lpflu", 0, 31.0, optimizer="adam")]
    _, runs, blocks = analysed(records, ["optimizer"], planned=planned)
    assert runs.activations == FUNCTIONS
    assert [place.setting for place in runs.places] == [("sgd",), ("adam",)]
    assert len(runs.gaps) == 35
    assert [item.verdict for item in blocks[0].rows] == ["no result"] * 5 + ["reference"]


def test_of_several_records_of_a_run_the_latest_finished_one_counts():
    old, new = record("lpflu", 0, 31.0), record("lpflu", 0, 30.0)
    new["finished_at"] = "2026-02-01T00:00:00+00:00"
    failed = record("lpflu", 0, 99.0) | {"status": "failed", "finished_at": "2026-03-01T00:00:00+00:00"}
    study, runs, blocks = analysed([failed, new, old])
    assert blocks[0].rows[0].values == (30.0,)
    assert "1 further finished records" in gap_notes(study, runs)[0]


def test_single_runs_of_a_classifier_have_a_binomial_interval_others_none():
    study, _, blocks = analysed([record("lpflu", 0, 31.0), record("relu", 0, 35.0)])
    assert row(blocks[0], "lpflu").interval.method == "Wilson, test set"
    assert row(blocks[0], "relu").paired.interval.low > 0
    assert row(blocks[0], "relu").verdict == "not separable (1 seed; at least 3 are needed)"
    assert any("sampling of the test set alone" in note for note in method_notes(study, blocks))
    study, _, blocks = analysed([detection(name, 0, 20.0) for name in FUNCTIONS], metrics=("map",))
    assert row(blocks[0], "relu").paired.interval is None
    assert any("Single runs of mAP have no interval" in note for note in method_notes(study, blocks))


def test_averaged_weights_are_rows_of_their_own():
    records = grid(3)
    for item in records:
        item["metrics_averaged"] = {key: value - 1 for key, value in item["metrics"].items()}
    study, _, blocks = analysed(records, metrics=("top1_error",))
    assert [block.weights for block in blocks] == ["raw", "averaged"]
    assert row(blocks[1], "relu").mean == pytest.approx(row(blocks[0], "relu").mean - 1)
    assert [overview.title for overview in overviews(study, blocks)] == [
        "cifar100, raw weights",
        "cifar100, averaged weights",
    ]


def test_each_task_shows_its_own_metrics_and_main_metric():
    records = grid(3)
    records += [detection(n, s, 20.0 + s) for n in FUNCTIONS for s in range(3)]
    _, _, blocks = analysed(records, metrics=("top5_error", "top1_error", "map_50", "map"))
    assert [(b.place.task, b.metric.name, b.main) for b in blocks] == [
        ("cifar100", "top5_error", False),
        ("cifar100", "top1_error", True),
        ("voc", "map_50", False),
        ("voc", "map", True),
    ]


def test_ranks_only_with_enough_complete_rows():
    study, _, blocks = analysed(grid(3, optimizer=["adam", "sgd"]), ["optimizer"])
    assert "here are 2 and 6" in study_ranks(study, blocks)
    records = grid(3, 0.05, batch_size=[16, 32, 64, 128, 256])
    study, _, blocks = analysed(records, ["batch_size"])
    assert [block.place.setting[0] for block in blocks if block.main] == ["16", "32", "64", "128", "256"]
    ranks = study_ranks(study, blocks)
    assert isinstance(ranks, Ranks)
    assert ranks.rows == 5  # top-5 error of the same runs is no further row
    assert next(iter(ranks.average)) == "lpflu"
    records = [r for r in records if not (r["activation"] == "relu" and r["cell"]["batch_size"] == 16)]
    study, _, blocks = analysed(records, ["batch_size"])
    assert "here are 4 and 6" in study_ranks(study, blocks)


def test_bold_only_where_separable():
    study, _, blocks = analysed(grid(6, 0.02, effects=EFFECTS | {"lpflu": -2.0}), metrics=("top1_error",))
    assert blocks[0].best == "lpflu"
    text = markdown(study, collect(study, []), blocks, "none", None)
    assert text.count("**") == 2
    assert r"\textbf{" in latex(study, blocks)
    study, _, blocks = analysed(grid(3, 3.0), metrics=("top1_error",))
    assert blocks[0].best is None
    assert "**" not in markdown(study, collect(study, []), blocks, "none", None)


def test_latex_escapes_and_is_well_formed():
    assert latex_escape(r"50 % of a_b & $x$ #1 {y} ~ ^ < \ ") == (
        r"50 \% of a\_b \& \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} \textless{} \textbackslash{} "
    )
    study, _, blocks = analysed(grid(3, batch_size=[16, 32]), ["batch_size"], title="100 % & more")
    text = latex(study, blocks)
    assert r"100 \% \& more" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 5
    for table in text.split(r"\begin{tabular}")[1:]:
        columns = table[1 : table.index("}")]
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert {line.replace(r"\&", "").count("&") for line in rows} == {len(columns) - 1}


def test_many_settings_turn_the_overview_around():
    study, _, blocks = analysed(grid(3, batch_size=[16, 32, 64, 128]), ["batch_size"])
    (overview,) = overviews(study, blocks)
    assert overview.head == ["setting", *sorted(FUNCTIONS)]
    assert overview.lines[0][0] == "batch_size 16, top-1 error (%)"


def test_texts():
    assert number(-0.5, signed=True) == "−0.50"
    assert number(None) == number(float("nan")) == "–"
    assert [p_text(p) for p in (0.0001, 0.0496, 0.0504, 0.2)] == ["< 0.001", "0.0496", "0.0504", "0.200"]
    assert [setting_text(value) for value in (True, False, 0.002, 16, "adam", None)] == [
        "on",
        "off",
        "0.002",
        "16",
        "adam",
        "none",
    ]


def test_results_frame_is_plain_csv():
    study, _, blocks = analysed(grid(3))
    text = results_frame(study, blocks).to_csv(index=False)
    lines = list(csv.DictReader(io.StringIO(text)))
    assert lines[0]["activation"] == "gish"
    assert float(lines[0]["p_holm"]) >= float(lines[0]["p"])
