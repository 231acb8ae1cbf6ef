"""Trainings stop by the validation scores, the test sets are scored once, and the words follow from the test scores."""

import pytest
import stand_in_trainings
from stand_in_trainings import plan

from lpflu_bench.errors import UserError
from lpflu_bench.inference.rule import Rule
from lpflu_bench.judging import paired_runs
from lpflu_bench.judging.ladder import Ladder, require_room
from lpflu_bench.judging.paired_runs import PairedRuns
from lpflu_bench.judging.rungs import TaskResult, Versus, overall, task_result_from_dict
from lpflu_bench.judging.sealed_test import score_tests
from lpflu_bench.record_files import read_record, write_record
from lpflu_bench.studies.executors.local import LocalExecutor
from lpflu_bench.studies.store import Store

RULE = Rule(level=0.05, margin={"": 1.0}, looks=(5, 8, 12))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(
        "lpflu_bench.studies.cell._clean_up", lambda: None
    )  # collecting garbage takes longer than all else
    monkeypatch.setattr(paired_runs, "ProcessExecutor", lambda folder, workers=1, limit=None: LocalExecutor(folder))


def make(tmp_path, qualities, tasks=("classification",), name="bent"):
    plans = {task: plan(task, qualities) for task in tasks}
    stores = [Store(part, tmp_path / "results", tmp_path / "runs") for part in (name, "shared")]
    others = [other for other in qualities if other != name]
    return PairedRuns(plans, name, others, RULE, *stores, workers=1, runner=stand_in_trainings.RUNNER)


def climbed(tmp_path, qualities, **settings):
    runs = make(tmp_path, qualities, **settings)
    ladder = Ladder(runs)
    ladder.climb(1000)
    return ladder, score_tests(runs)


def starts(tmp_path, store):
    return [line for file in sorted((tmp_path / "runs" / store).rglob("starts")) for line in file.read_text().split()]


def test_a_better_function_is_decided_at_the_first_look_and_tested_once(tmp_path):
    ladder, (result,) = climbed(tmp_path, {"bent": 10.0, "relu": 20.0})
    (one,) = result.versus
    assert (one.word, one.seeds) == ("better", 5)
    assert one.difference == pytest.approx(-10, abs=2)
    assert starts(tmp_path, "bent").count("train") == 5
    assert starts(tmp_path, "bent").count("test") == 5
    assert "nothing is left to decide" in ladder.stopped
    again = make(tmp_path, {"bent": 10.0, "relu": 20.0})
    Ladder(again).climb(1000)
    assert score_tests(again) == [result]
    assert len(starts(tmp_path, "bent")) == 10, "what is done is not done again"


def test_test_sets_are_sealed_while_it_trains(tmp_path):
    Ladder(make(tmp_path, {"bent": 10.0, "relu": 20.0})).climb(1000)
    assert "test" not in starts(tmp_path, "bent") + starts(tmp_path, "shared")


def test_the_same_runs_are_equivalent_whatever_the_spread_of_the_others(tmp_path):
    _, (result,) = climbed(tmp_path, {"bent": 20.0, "relu": 20.0, "silu": 30.0, "lpflu": 5.0})
    by_other = {one.other: one for one in result.versus}
    assert by_other["relu"].word == "equivalent"
    assert by_other["relu"].reason == "every run is the same to the last digit"
    assert by_other["silu"].word == "better"
    assert by_other["lpflu"].word == "worse"
    assert overall([result], "relu") == "equivalent"


def test_seeds_are_added_only_against_what_is_undecided(tmp_path):
    climbed(tmp_path, {"bent": 10.0, "relu": 10.001, "silu": 40.0})
    trained = {}
    for record in Store("shared", tmp_path / "results", tmp_path / "runs").records().values():
        trained[record["cell"]["activation"]] = trained.get(record["cell"]["activation"], 0) + 1
    assert trained["silu"] == 5
    assert trained["relu"] > 5


def test_cheap_rungs_come_first_and_a_rung_that_does_not_fit_is_left_out(tmp_path, monkeypatch):
    qualities = {"bent": 10.0, "relu": 20.0}
    monkeypatch.setattr(PairedRuns, "seconds_of", lambda self, task: 1.0 if task == "classification" else 1000.0)
    ladder, results = climbed(tmp_path, qualities, tasks=("classification", "detection"))
    assert [result.task for result in results] == ["classification"]
    assert ladder.stopped == "Stopped: the budget does not hold the next step of detection (look 1)."
    tight = Ladder(make(tmp_path / "other", qualities))
    with pytest.raises(UserError, match=r"--budget 5 s does not hold one step: the first look at classification takes"):
        require_room(tight, "classification", lambda: 5.0, 5.0)


def test_a_run_of_a_busy_machine_does_not_refuse_the_budget_for_ever(tmp_path):
    runs = make(tmp_path, {"bent": 10.0, "relu": 20.0})
    assert Ladder(runs).pilot("classification")
    (path,) = (tmp_path / "results").glob("*/records/*.json")
    record = read_record(path)
    record["trained"]["seconds"] = 1e6
    write_record(record, path)
    again = make(tmp_path, {"bent": 10.0, "relu": 20.0})
    assert again.seconds_of("classification") > 1e6
    require_room(Ladder(again), "classification", lambda: 1000.0, 1000.0)
    assert again.seconds_of("classification") < 10


def test_the_level_is_shared_by_all_looks_so_a_look_is_wider_than_a_fixed_design(tmp_path):
    _, (result,) = climbed(tmp_path, {"bent": 10.0, "relu": 20.0})
    differences = [result.scores["bent"][seed] - result.scores["relu"][seed] for seed in map(str, range(5))]
    from scipy import stats

    fixed = stats.sem(differences) * stats.t.ppf(0.975, 4)
    assert result.versus[0].half_width > 1.5 * fixed


@pytest.mark.parametrize(("quality", "word"), [("diverges", "worse"), ("crashes", "no verdict")])
def test_a_function_that_cannot_be_trained_is_reported(tmp_path, quality, word):
    _, (result,) = climbed(tmp_path, {"bent": quality, "relu": 20.0})
    assert result.versus[0].word == word
    assert result.failed["0"].startswith("the loss is not finite" if quality == "diverges" else "RuntimeError: broken")
    assert task_result_from_dict(result.as_dict()) == result


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((["better"], ["undecided"]), "better"),
        ((["worse"], ["equivalent"]), "worse"),
        ((["better"], ["worse"]), "mixed"),
        ((["equivalent"], ["equivalent"]), "equivalent"),
        ((["equivalent"], ["undecided"]), "undecided"),
        ((), "undecided"),
    ],
)
def test_the_word_for_all_tasks(words, expected):
    tasks = [TaskResult("t", "error", "%", True, tuple(Versus("relu", word) for word in task)) for task in words]
    assert overall(tasks, "relu") == expected
