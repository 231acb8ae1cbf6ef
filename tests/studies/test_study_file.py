import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.inference.rule import Rule
from lpflu_bench.studies.keys import overlaps
from lpflu_bench.studies.overrides import apply_overrides
from lpflu_bench.studies.study_file import find_study, load_study, parse_seeds

TESTED = """
title: T
base: tasks/x.yaml
axes: {activation: [relu, lpflu]}
test:
  noise: {none: {}, strong: {data.test_noise: {kind: gaussian, strength: 0.1}}}
  attack: {none: {}, fgsm: {model.test_attack.kind: fgsm}}
metrics: top1_error
reference: relu
"""
TEXT = """
title: T
base: tasks/x.yaml
axes:
  activation: [relu, lpflu]
  noise:
    on: {data.noise: 0.1}
    off: {}
seeds: [0, 1]
metrics: top1_error
reference: relu
"""


def load(tmp_path, text=TEXT):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_study(path)


def test_reads_lists_and_named_values(tmp_path):
    study = load(tmp_path)
    assert study.name == "mine"
    assert study.bases == ("tasks/x.yaml",)
    assert [v.settings for v in study.axis("activation").values] == [
        {"model.activation": "relu"},
        {"model.activation": "lpflu"},
    ]
    # YAML reads a bare on as true; the axis keeps what was typed
    assert [(v.label, v.settings) for v in study.axis("noise").values] == [("on", {"data.noise": 0.1}), ("off", {})]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seeds:", "seed:", "unknown key 'seed'; the nearest are seeds"),
        ("reference: relu", "reference: rleu", "'rleu' is not on the axis activation; the nearest"),
        ("metrics: top1_error", "metrics: {top1_error: higher}", "metrics: must be a name or a list of names"),
        ("metrics: top1_error", "metrics: [a, a]", "metrics: at least one is needed, and each once"),
        ("seeds: [0, 1]", "published: tabel1", "published: there is no published table 'tabel1'; the nearest"),
        ("seeds: [0, 1]", "seeds: [0, 0]", "has a seed twice"),
        ("seeds: [0, 1]", "seeds: [-1]", "whole numbers >= 0"),
        ("[relu, lpflu]", "[relu, relu]", "axes.activation: has the value relu twice"),
        ("  activation: [relu, lpflu]\n", "", "an axis 'activation' is needed"),
        ("    off: {}", "    off: 3", "axes.noise.off: must set configuration keys"),
        ("base: tasks/x.yaml\n", "", "missing: base"),
        ("title: T", "title: [", "invalid YAML"),
        ("  noise:", "  seed:", "an axis cannot be called 'seed'"),
        ("seeds: [0, 1]", "tune: {axis: {a: [1]}, sets: {}}", "tune: unknown key 'sets'; the nearest"),
        ("seeds: [0, 1]", "tune: {axis: {a: [1]}, metric: x}", "tune.metric: 'x' is not among"),
        ("seeds: [0, 1]", "inference: {levle: 0.1}", "inference: unknown key 'levle'; the nearest is level"),
        ("seeds: [0, 1]", "inference: {level: 0}", "inference.level: must be above 0 and at most 0.5"),
        ("seeds: [0, 1]", "inference: {level: 95}", "inference.level: must be above 0 and at most 0.5"),
        ("seeds: [0, 1]", "inference: {margin: -0.3}", "inference.margin: must be a number above 0"),
        (
            "seeds: [0, 1]",
            "inference: {margin: {top1_error: a}}",
            "inference.margin.top1_error: must be a number above 0",
        ),
        ("seeds: [0, 1]", "inference: {margin: {top1: 1}}", "inference.margin: unknown key 'top1'; the nearest"),
        ("seeds: [0, 1]", "inference: {looks: [2, 5]}", "inference.looks: must be rising numbers of seeds from 3"),
        ("seeds: [0, 1]", "inference: {looks: [8, 5]}", "inference.looks: must be rising"),
        (
            "seeds: [0, 1]",
            "inference: {looks: [5, 8]}",
            "inference.looks: must end with the number of `seeds`, 1, not 8",
        ),
    ],
)
def test_errors_are_one_line_with_file_and_key(tmp_path, old, new, expected):
    assert old in TEXT
    with pytest.raises(UserError) as caught:
        load(tmp_path, TEXT.replace(old, new))
    assert "mine.yaml" in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_rule_has_defaults_and_is_read(tmp_path):
    assert load(tmp_path).rule == Rule()
    text = TEXT.replace(
        "seeds: [0, 1]", "seeds: 0-7\ninference: {level: 0.1, margin: {top1_error: 0.3}, looks: [5, 8]}"
    )
    assert load(tmp_path, text).rule == Rule(0.1, {"top1_error": 0.3}, (5, 8))
    assert load(tmp_path, text.replace("{top1_error: 0.3}", "0.3")).rule.margin_of("top1_error") == 0.3
    with pytest.raises(UserError, match="adds seeds at its looks"):
        apply_overrides(load(tmp_path, text), seeds="0-3")


def test_narrow_sets_keys_replaces_axes_and_seeds(tmp_path):
    study = load(tmp_path)
    changed = apply_overrides(study, settings=["trainer.max_epochs=3", "activation=[relu, my.Fn]"], seeds="0-2,7")
    assert changed.settings == {"trainer.max_epochs": 3}
    assert [v.label for v in changed.axis("activation").values] == ["relu", "my.Fn"]
    assert changed.seeds == (0, 1, 2, 7)
    assert apply_overrides(study, only=["activation=lpflu"]).only == {"activation": ("lpflu",)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"settings": ["max_epochs"]}, "write --set KEY=VALUE"),
        ({"settings": ["data.init_args.noise=1"]}, "the axis 'noise' sets this key"),
        ({"settings": ["data={}"]}, "the axis 'noise' sets this key"),
        ({"only": ["activations=relu"]}, "no axis 'activations'; the nearest is activation"),
        ({"only": ["activation=lplu"]}, "no value 'lplu'; the nearest"),
        ({"seeds": "a"}, "write whole numbers"),
    ],
)
def test_narrow_refuses(tmp_path, options, expected):
    with pytest.raises(UserError, match=expected):
        apply_overrides(load(tmp_path), **options)


def test_keys_overlap_whatever_is_left_out():
    assert overlaps("model.optimizer.lr", "model.init_args.optimizer.class_path")
    assert not overlaps("model.optimizer", "model.optimizers")
    assert parse_seeds("3,5-6") == (3, 5, 6)


def test_an_unknown_study_is_named_with_the_nearest():
    assert find_study("table4").name == "table4.yaml"
    with pytest.raises(UserError, match=r"no study 'tabel4'.*table4"):
        find_study("tabel4")


def test_options_know_the_axes_of_tests(tmp_path):
    study = load(tmp_path, TESTED)
    assert apply_overrides(study, only=["noise=strong"]).only == {"noise": ("strong",)}
    changed = apply_overrides(study, settings=["noise={weak: {data.test_noise.strength: 0.05}}"])
    assert [[value.label for value in axis.values] for axis in changed.tests] == [["weak"], ["none", "fgsm"]]
    assert changed.axes == study.axes
    for settings, only, message in (
        ([], ["noise=week"], "the axis has no value 'week'"),
        ([], ["nois=strong"], "there is no axis 'nois'; the nearest is noise"),
        (["noise=[1, 2]"], [], "'noise' is not a test condition"),
        (["data.test_noise.strength=0.2"], [], "the axis 'noise' sets this key"),
    ):
        with pytest.raises(UserError, match=message):
            apply_overrides(study, settings=settings, only=only)
