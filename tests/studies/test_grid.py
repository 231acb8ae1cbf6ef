import itertools
import json
from dataclasses import asdict, replace

import pytest
from synthetic_records import result_of_test

from lpflu_bench.errors import UserError
from lpflu_bench.identity import config_hash
from lpflu_bench.scores import Score
from lpflu_bench.studies.grid import make_plan
from lpflu_bench.studies.keys import flatten, nest
from lpflu_bench.studies.overrides import apply_overrides
from lpflu_bench.studies.plan import select
from lpflu_bench.studies.plan_cache import load_plan
from lpflu_bench.studies.study_file import load_study
from lpflu_bench.studies.tuning import describe_choices, select_cells

STUDY = """
base: tasks/cifar100/regnety_800mf.yaml
axes:
  activation: [relu, lpflu]
  lr: {small: {optimizer.init_args.lr: 1}, large: {optimizer.init_args.lr: 2}}
  optimizer:
    adam: {}
    sgd: {optimizer: {class_path: SGD, init_args: {momentum: 0.9}}}
  epochs: {a: {trainer.epochs: 1}, b: {trainer.epochs: 2}}
seeds: [0, 1]
metrics: top1_error
reference: relu
"""


class FakeResolver:
    """Applies settings to a small configuration; an optimizer decides which keys there are."""

    def __init__(self):
        self.parses = 0
        self.bad = None

    def resolve(self, files, settings):
        self.parses += 1
        config = {
            "task": "t",
            "seed_everything": 0,
            "model": {"init_args": {"network": "net", "activation": "relu"}},
            "optimizer": {"class_path": "Adam", "init_args": {"lr": 0, "betas": 5}},
            "trainer": {"epochs": 0},
            "data": {"init_args": {"root": "here"}},
        }
        if "optimizer" in settings:
            config["optimizer"] = json.loads(json.dumps(settings["optimizer"]))
        for key, value in settings.items():
            if key == "optimizer.init_args.lr":
                config["optimizer"]["init_args"]["lr"] = value
            elif key == "model.activation":
                config["model"]["init_args"]["activation"] = value
            elif key.startswith("trainer."):
                config["trainer"][key.removeprefix("trainer.")] = value
            elif key != "optimizer":
                raise UserError(f"unknown key '{key}'")
        return config

    def scores(self, config):
        return (Score("top1_error", "lower", "top-1 error", main=True),)

    def network_name(self, config):
        return config["model"]["init_args"]["network"]

    def check(self, config):
        if config["model"]["init_args"]["activation"] == self.bad:
            raise UserError(f"no activation {self.bad}")


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY)
    return load_study(path)


def test_every_cell_is_what_parsing_it_alone_gives(study):
    resolver = FakeResolver()
    plan = make_plan(study, resolver)
    assert len(plan.cells) == 32
    assert resolver.parses < 12  # 4 of optimizer x lr, which depend on one another, and one by one of the others
    for cell in plan.cells:
        settings = {}
        for axis in study.axes:
            value = next(v for v in axis.values if v.label == cell.labels[axis.name])
            settings.update(value.settings)
        alone = {**FakeResolver().resolve([], settings), "seed_everything": cell.seed}
        assert plan.config(cell) == alone
        assert cell.hash == config_hash(alone)


def test_a_new_function_or_seed_leaves_the_other_cells_as_they_are(study):
    before = {cell.hash for cell in make_plan(study, FakeResolver()).cells}
    wider = apply_overrides(study, settings=["activation=[relu, lpflu, gish]"], seeds="0-2")
    after = {cell.hash for cell in make_plan(wider, FakeResolver()).cells}
    assert before < after
    assert len(after) == 3 * 2 * 2 * 2 * 3


def test_embedded_data_makes_other_cells(study):
    own = {cell.hash for cell in make_plan(study, FakeResolver()).cells}
    embedded = make_plan(study, FakeResolver(), frozenset({"t"}))
    assert not own & {cell.hash for cell in embedded.cells}
    assert embedded.config(embedded.cells[0])["data"]["init_args"]["root"] == "embedded"


def test_an_invalid_value_is_found_and_named(study):
    resolver = FakeResolver()
    resolver.bad = "lpflu"
    with pytest.raises(UserError, match="activation = lpflu: no activation lpflu"):
        make_plan(study, resolver)
    with pytest.raises(UserError, match="unknown key 'nonsense'"):
        make_plan(apply_overrides(study, settings=["nonsense=1"]), FakeResolver())


def test_a_metric_that_no_module_reports_is_refused_with_the_nearest(study):
    with pytest.raises(UserError, match="'top1_err' is reported by none of its tasks; the nearest is top1_error"):
        make_plan(replace(study, metrics=("top1_error", "top1_err")), FakeResolver())


def test_two_names_for_one_run_are_refused(study):
    with pytest.raises(UserError, match="are the same run"):
        make_plan(
            apply_overrides(study, settings=["epochs={a: {trainer.epochs: 1}, b: {trainer.epochs: 1}}"]), FakeResolver()
        )


def test_only_keeps_what_is_asked_for(study):
    plan = make_plan(study, FakeResolver())
    kept = select(plan, apply_overrides(study, only=["activation=lpflu", "seed=1", "lr=small"]).only)
    assert len(kept) == 4
    assert {(c.labels["activation"], c.labels["lr"], c.seed) for c in kept} == {("lpflu", "small", 1)}
    with pytest.raises(UserError, match="--only task=other: the study has no such task"):
        select(plan, {"task": (*{str(cell.labels["task"]) for cell in plan.cells}, "other")})
    with pytest.raises(UserError, match="one axis at a time; write --only activation=relu"):
        apply_overrides(study, only=["task=t,activation=relu"])


def test_whole_comparisons_come_first(study):
    cells = make_plan(study, FakeResolver()).cells
    assert [cell.seed for cell in cells] == [0] * 16 + [1] * 16
    assert [cell.labels["activation"] for cell in cells[:4]] == ["relu", "lpflu"] * 2


def test_flatten_and_nest_are_inverse():
    config = {"a": {"b": {"c": 1}, "d": {}}, "e": [1, {"f": 2}], "g": None}
    assert nest(flatten(config)) == config


def test_a_kept_plan_is_used_until_something_changes(study, tmp_path, monkeypatch):
    import lpflu_bench.studies.plan_cache as plan_cache

    made = []

    def make(*arguments):
        made.append(1)
        return make_plan(study, FakeResolver())

    monkeypatch.setattr(plan_cache, "make_plan", make)
    monkeypatch.setitem(
        __import__("sys").modules, "lpflu_bench.studies.resolve", type("M", (), {"Resolver": FakeResolver})
    )
    cache = tmp_path / "runs" / "plan.json"
    first = load_plan(study, cache)
    again = load_plan(study, cache)
    assert len(made) == 1
    assert again.cells == first.cells
    assert again.config(again.cells[5]) == first.config(first.cells[5])
    load_plan(apply_overrides(study, only=["activation=relu"]), cache)
    assert len(made) == 1  # --only needs no other plan
    load_plan(apply_overrides(study, seeds="5"), cache)
    assert len(made) == 2


TUNED = """
base: tasks/cifar100/regnety_800mf.yaml
axes: {activation: [relu, lpflu]}
tune:
  axis: {lr: {small: {optimizer.init_args.lr: 1}, large: {optimizer.init_args.lr: 2}}}
  seeds: [7, 8]
  set: {trainer.epochs: 9}
  metric: top1_error
seeds: [0, 1, 2]
metrics: top1_error
reference: relu
"""


@pytest.mark.parametrize(("direction", "sign"), [("lower", 1), ("higher", -1)])
def test_tuning_chooses_on_validation_scores_for_each_function(tmp_path, direction, sign):
    path = tmp_path / "tuned.yaml"
    path.write_text(TUNED)
    study = load_study(path)
    plan = make_plan(study, FakeResolver())
    tune = [cell for cell in plan.cells if cell.stage == "tune"]
    assert len(tune) == 8
    assert {plan.config(cell)["trainer"]["epochs"] for cell in tune} == {9}
    selection = select_cells(plan.cells, study.tuning, {})
    assert (len(selection.cells), selection.waiting) == (8, 6)
    errors = {("relu", "small"): 30.0, ("relu", "large"): 20.0, ("lpflu", "small"): 10.0, ("lpflu", "large"): 40.0}
    errors = {group: sign * error for group, error in errors.items()}
    records = {
        cell.hash: {
            "status": "finished",
            "scores": [asdict(Score("top1_error", direction, "top-1 error"))],
            "tested": [
                result_of_test({"top1_error": 99 - errors[cell.labels["activation"], cell.choice]})
            ],  # must not count
            "trained": {
                "curve": [{"val_top1_error": 1.0}, {"val_top1_error": errors[cell.labels["activation"], cell.choice]}]
            },
        }
        for cell in tune
    }
    some = dict(itertools.islice(records.items(), 7))
    assert len(select_cells(plan.cells, study.tuning, some).choices) == 1
    selection = select_cells(plan.cells, study.tuning, records)
    final = [cell for cell in selection.cells if cell.stage == "final"]
    assert {(c.labels["activation"], c.choice) for c in final} == {("relu", "large"), ("lpflu", "small")}
    assert len(final) == 6
    assert {plan.config(cell)["trainer"]["epochs"] for cell in final} == {0}
    assert f"relu: large (top-1 error {sign * 20:.2f})" in describe_choices(selection, plan.cells, study.tuning)
    # A value that failed is out of the running.
    worst = next(c for c in tune if c.labels["activation"] == "lpflu" and c.choice == "small")
    records[worst.hash] |= {"status": "failed"}
    choices = select_cells(plan.cells, study.tuning, records).choices
    assert sorted(choice for choice, _ in choices.values()) == ["large", "large"]
