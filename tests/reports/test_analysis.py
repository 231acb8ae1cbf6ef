import numpy as np
import pytest
from synthetic_records import EFFECTS, FUNCTIONS, detection, grid, record, result_of_test, spec

from lpflu_bench.errors import UserError
from lpflu_bench.inference.ranks import Ranks
from lpflu_bench.inference.rule import Rule
from lpflu_bench.inference.verdicts import Word
from lpflu_bench.reports.analysis import analyse
from lpflu_bench.reports.figures import draw_all
from lpflu_bench.reports.wording import gap_notes


def analysed(records, axes=(), **changes):
    return analyse(spec(axes, **changes), records)


def by_function(records):
    return {(r["trained"]["activation"], r["trained"]["seed"]): r for r in records}


def diverge(item):
    item.update(status="failed", error="LossNotFiniteError: the loss is not finite at epoch 3, step 9", tested=[])


def test_rows_hold_mean_median_sd_and_the_paired_difference():
    records = grid(5, optimizer=["adam", "sgd"])
    analysis = analysed(records, ["optimizer"])
    assert [(column.place.setting, column.score.name) for column in analysis.columns] == [
        (("adam",), "top1_error"),
        (("adam",), "top5_error"),
        (("sgd",), "top1_error"),
        (("sgd",), "top5_error"),
    ]
    values = {
        name: [
            r["tested"][0]["metrics"]["top1_error"]
            for r in records
            if r["trained"]["activation"] == name and r["cell"]["optimizer"] == "adam"
        ]
        for name in FUNCTIONS
    }
    relu = analysis.columns[0].row("relu")
    assert relu.mean == pytest.approx(np.mean(values["relu"]))
    assert relu.median == pytest.approx(np.median(values["relu"]))
    assert relu.sd == pytest.approx(np.std(values["relu"], ddof=1))
    assert relu.comparison.difference == pytest.approx(np.mean(values["relu"]) - np.mean(values["lpflu"]))
    assert relu.verdict.word == Word.WORSE
    assert analysis.columns[0].row("lpflu").verdict.word == Word.REFERENCE


def test_what_the_records_call_better_decides():
    records = grid(6, 0.05)
    for item in records:
        item["scores"] = [{**score, "direction": "higher"} for score in item["scores"]]
    assert analysed(records).columns[0].row("relu").verdict.word == Word.BETTER


def test_failed_missing_and_unequal_seeds_are_paired_on_common_ones_and_said():
    records = grid(5)
    by = by_function(records)
    by["relu", 4].update(status="failed", error="out of memory", tested=[])
    by["mish", 3].update(status="fitted", tested=[])
    by["pflu", 2]["tested"][0]["metrics"]["top1_error"] = float("nan")
    records.remove(by["lpflu", 0])
    analysis = analysed(records)
    relu, mish, pflu = (analysis.columns[0].row(name) for name in ("relu", "mish", "pflu"))
    assert relu.seeds == (0, 1, 2, 3)
    assert relu.comparison.n == 3
    assert relu.notes == ("seed 4 failed", "paired on seeds 1, 2, 3")
    assert mish.notes[0] == "seed 3 not tested"
    assert pflu.notes[0] == "seed 2 without a finite value"
    assert analysis.columns[0].row("lpflu").notes == ("seed 0 missing",)
    notes = gap_notes(analysis)
    assert "cifar100, relu, seed 4 failed: out of memory" in notes
    assert "1 planned run has no result yet." in notes


def test_a_diverged_seed_counts_with_the_worst_value_and_never_makes_a_function_better():
    records = grid(5, 0.02, effects=EFFECTS | {"mish": -1.0})
    assert analysed(records).columns[0].row("mish").verdict.word == Word.BETTER
    calm = analysed(records).columns[0].row("relu").comparison.half_width
    diverge(by_function(records)["mish", 1])
    column = analysed(records).columns[0]
    mish = column.row("mish")
    assert (mish.diverged, mish.values[1], len(mish.values)) == ((1,), 100.0, 5)
    assert mish.verdict.word == Word.UNDECIDED
    assert mish.notes == ("seed 1 diverged",)
    assert column.row("relu").comparison.half_width == pytest.approx(calm, rel=0.6)  # the others are not widened
    assert any("seed 1 diverged: LossNotFiniteError" in note for note in gap_notes(analysed(records)))
    for item in records:
        item["scores"] = [{**score, "unit": ""} for score in item["scores"]]
    assert "no worst value" in analysed(records).columns[0].row("mish").verdict.reason


def test_no_common_seed_is_said_and_a_report_without_the_reference_is_refused():
    column = analysed([record("lpflu", 0, 31.0), record("relu", 1, 32.0)]).columns[0]
    assert column.row("relu").verdict.reason == "no common seed"
    with pytest.raises(UserError, match="no run of the reference 'lpflu' has finished"):
        analysed([record("relu", 1, 32.0)])
    assert analysed([]).columns == ()


def test_a_metric_that_no_record_has_is_refused():
    with pytest.raises(UserError, match="no record has the metric 'top1_eror'; the nearest"):
        analysed(grid(3), metrics=("top1_error", "top1_eror"))


def test_the_plan_gives_the_order_and_what_is_missing():
    planned = tuple(
        {"task": "cifar100", "activation": name, "seed": seed, "optimizer": optimizer}
        for optimizer in ("sgd", "adam")
        for name in FUNCTIONS
        for seed in range(3)
    )
    analysis = analysed([record("lpflu", 0, 31.0, optimizer="adam")], ["optimizer"], planned=planned)
    assert analysis.runs.activations == FUNCTIONS
    assert [place.setting for place in analysis.runs.places] == [("sgd",), ("adam",)]
    assert len(analysis.runs.gaps) == 35
    assert [row.verdict.word for row in analysis.columns[0].rows] == [Word.NONE] * 5 + [Word.REFERENCE]


def test_of_several_records_of_a_run_the_latest_finished_one_counts():
    old, new = record("lpflu", 0, 31.0), record("lpflu", 0, 30.0)
    new["written_at"] = "2026-02-01T00:00:00+00:00"
    failed = record("lpflu", 0, 99.0) | {"status": "failed", "written_at": "2026-03-01T00:00:00+00:00"}
    analysis = analysed([failed, new, old])
    assert analysis.columns[0].rows[0].values == (30.0,)
    assert "1 further finished records" in gap_notes(analysis)[0]


def test_averaged_weights_and_further_scores_are_judged_only_where_the_one_before_differs():
    records = grid(5, 0.05, effects=EFFECTS | {"pflu": 0.0})
    for item in records:
        averaged = {key: value - 1 for key, value in item["tested"][0]["metrics"].items()}
        item["tested"].append(result_of_test(averaged, weights="averaged"))
    columns = analysed(records).columns
    assert [(c.score.name, c.weights) for c in columns] == [
        ("top1_error", "raw"),
        ("top1_error", "averaged"),
        ("top5_error", "raw"),
        ("top5_error", "averaged"),
    ]
    assert columns[1].row("relu").mean == pytest.approx(columns[0].row("relu").mean - 1)
    assert all(column.row("relu").verdict.word == Word.WORSE for column in columns)
    assert columns[0].row("pflu").verdict.word == Word.UNDECIDED
    for column in columns[1:]:
        pflu = column.row("pflu")
        assert (pflu.verdict.word, pflu.interval) == (Word.NOT_JUDGED, None)
    assert columns[1].row("pflu").verdict.reason == "top-1 error: undecided"


def test_each_task_shows_its_own_scores_the_declared_main_one_first():
    records = grid(3)
    records += [detection(n, s, 20.0 + s) for n in FUNCTIONS for s in range(3)]
    columns = analysed(records, metrics=("top5_error", "top1_error", "map_50", "map")).columns
    assert [(c.place.task, c.score.name, c.main) for c in columns] == [
        ("cifar100", "top1_error", True),
        ("cifar100", "top5_error", False),
        ("voc", "map", True),
        ("voc", "map_50", False),
    ]


def test_narrowing_hides_and_never_changes_what_is_judged():
    records = grid(3, optimizer=["adam", "sgd"])
    whole = analysed(records, ["optimizer"])
    narrow = analysed(records, ["optimizer"], only={"activation": ("mish",), "optimizer": ("sgd",)})
    assert {column.place.setting for column in narrow.columns} == {("sgd",)}
    assert [row.activation for row in narrow.columns[0].rows] == ["lpflu", "mish"]  # the reference stays
    shown = {column.score.name: column for column in whole.columns if column.place.setting == ("sgd",)}
    for column in narrow.columns:
        assert column.row("mish") == shown[column.score.name].row("mish")
        assert column.best == shown[column.score.name].best
    assert {activation for _, activation in narrow.runs.finished} == {"lpflu", "mish"}


def test_functions_that_have_not_run_yet_count_in_the_family():
    planned = tuple({"task": "cifar100", "activation": f, "seed": s} for f in [*FUNCTIONS, "a", "b"] for s in range(5))
    few = analysed(grid(5), planned=planned).columns[0].row("relu").comparison
    assert few.half_width > analysed(grid(5)).columns[0].row("relu").comparison.half_width


def test_undecided_names_what_the_seeds_cannot_tell_from_the_noise_and_not_from_the_observed_difference():
    column = analysed(grid(3)).columns[0]
    pflu, smu = column.row("pflu"), column.row("smu")
    width = f"{pflu.comparison.half_width:.2f}"
    assert pflu.verdict.reason.startswith(f"3 seeds cannot tell ±{width} from 0; about ")
    assert pflu.verdict.reason.endswith(f"would decide a difference of {width}")
    assert pflu.comparison.difference != pytest.approx(smu.comparison.difference)
    assert analysed(grid(3), rule=Rule(margin={"": 0.3})).columns[0].row("pflu").verdict.reason.endswith(", the margin")


def test_a_margin_makes_equivalent_and_marks_small_differences():
    records = grid(8, 0.02, effects=EFFECTS | {"pflu": 0.0, "mish": 0.1})
    column = analysed(records, rule=Rule(margin={"top1_error": 0.3})).columns[0]
    assert column.row("pflu").verdict.word == Word.EQUIVALENT
    assert (column.row("mish").verdict.word, column.row("mish").verdict.below_margin) == (Word.WORSE, True)
    assert not column.row("relu").verdict.below_margin


def test_a_sequential_study_is_judged_at_the_looks_of_its_functions():
    planned = tuple({"task": "cifar100", "activation": n, "seed": s} for n in FUNCTIONS for s in range(8))
    rule = Rule(looks=(5, 8))
    records = grid(8, 0.05)
    early = [
        r
        for r in records
        if r["trained"]["seed"] < 4 or (r["trained"]["activation"] != "mish" and r["trained"]["seed"] < 7)
    ]
    column = analysed(early, planned=planned, rule=rule).columns[0]
    assert column.row("mish").verdict.reason == "the first look is still to come"
    relu = column.row("relu")
    assert (relu.seeds, relu.look) == ((0, 1, 2, 3, 4), 1)  # seeds 5 and 6 are between two looks
    assert relu.verdict.word == Word.WORSE
    assert relu.notes == ("look 1 of 2",)
    full = analysed(records, planned=planned, rule=rule).columns[0].row("relu")
    assert (len(full.seeds), full.look) == (8, 2)
    fixed = analysed([r for r in records if r["trained"]["seed"] < 5]).columns[0].row("relu")
    assert relu.comparison.half_width > 1.2 * fixed.comparison.half_width


def test_ranks_only_over_enough_rows_of_independent_networks():
    assert "here are 2 and 6" in analysed(grid(3, optimizer=["adam", "sgd"]), ["optimizer"]).ranks
    records = grid(3, 0.05, batch_size=[16, 32, 64, 128, 256])
    ranks = analysed(records, ["batch_size"]).ranks
    assert isinstance(ranks, Ranks)
    assert ranks.rows == 5  # top-5 error of the same runs is no further row
    assert next(iter(ranks.average)) == "lpflu"
    less = [r for r in records if not (r["trained"]["activation"] == "relu" and r["cell"]["batch_size"] == 16)]
    assert "here are 4 and 6" in analysed(less, ["batch_size"]).ranks


def test_places_that_test_the_same_networks_are_one_row():
    noises = ["none", "a", "b", "c", "d"]
    records = grid(3, 0.05, noise=noises)
    assert analysed(records, ["noise"]).ranks.rows == 5
    for item in records:
        trained = item["trained"]
        trained["config_hash"] = f"{trained['activation']}-{trained['seed']}"
    assert "here are 1 and 6" in analysed(records, ["noise"]).ranks


@pytest.mark.parametrize(("again", "shared"), [(20, False), (12, True)])
def test_a_resumed_training_holds_its_gpu_in_its_sessions_alone(again, shared):
    def times(start, end):
        return {"started_at": f"2026-01-01T00:{start:02}:00+00:00", "finished_at": f"2026-01-01T00:{end:02}:00+00:00"}

    resumed, other = records = grid(1)[:2]
    for item in records:
        item["trained"]["environment"] = {"cuda": "13.0", "device": "A GPU"}
    resumed["trained"] |= times(0, again + 4) | {"sessions": [times(0, 4), times(again, again + 4)]}
    other["trained"] |= {"sessions": [times(5, 15)]}
    assert analysed(records, reference="relu").runs.shared_gpu is shared


@pytest.mark.parametrize(
    ("gpus", "minutes", "shared"),
    [
        ((None, None), (0, 5), True),  # records that do not say which: equal ones count as one
        (("a", "a"), (0, 5), True),
        (("a", "b"), (0, 5), False),
        (("a", "a"), (0, 10), False),
    ],
)
def test_runs_that_shared_a_gpu_are_no_measure_of_cost(gpus, minutes, shared):
    records = grid(1)
    for item, gpu, minute in zip(records, gpus, minutes, strict=False):
        item["trained"]["environment"] = {"cuda": "13.0", "device": "A GPU"} | ({"gpu": gpu} if gpu else {})
        item["trained"] |= {
            "started_at": f"2026-01-01T00:{minute:02}:00+00:00",
            "finished_at": f"2026-01-01T00:{minute + 10:02}:00+00:00",
        }
        del item["trained"]["sessions"]
    analysis = analysed(records)
    assert analysis.runs.shared_gpu is shared
    assert any("no measure of a function's cost" in note for note in gap_notes(analysis)) is shared
    kinds = {drawing.kind for drawing in draw_all(analysis)}
    assert ("cost" in kinds) is not shared
