import json
from dataclasses import replace

import pytest

from lpflu_bench.errors import UserError
from lpflu_bench.inference.rule import Rule
from lpflu_bench.studies.declared import FILE, changes, declare, sequential
from lpflu_bench.studies.study_file import load_study

TEXT = """
base: tasks/x.yaml
axes: {activation: [relu, lpflu]}
seeds: [0, 1, 2]
metrics: top1_error
reference: relu
inference: {margin: 0.3}
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    return load_study(path)


def test_what_was_declared_first_stays_and_a_change_is_said(study, tmp_path):
    assert changes(study, tmp_path) == ""
    declare(study, tmp_path)
    assert changes(study, tmp_path) == ""
    changed = replace(study, seeds=(0, 1, 2, 3), rule=Rule(margin={"": 0.5}))
    declare(changed, tmp_path)
    assert changes(changed, tmp_path) == (
        "Changed after the first runs: margin {'': 0.3} -> {'': 0.5}; seeds [0, 1, 2] -> [0, 1, 2, 3]."
    )


def test_a_sequential_design_is_declared_once_and_holds_for_every_command(study, tmp_path):
    assert sequential(study, tmp_path) == study
    begun = sequential(study, tmp_path, 12)
    assert (begun.rule.looks, begun.seeds) == ((5, 8, 12), tuple(range(12)))
    declare(begun, tmp_path)
    assert sequential(study, tmp_path) == begun  # report and status take it from there
    assert sequential(study, tmp_path, 12) == begun
    with pytest.raises(UserError, match=r"--max-seeds 20: mine was declared with looks at \[5, 8, 12\] seeds"):
        sequential(study, tmp_path, 20)


def test_looks_of_the_file_come_first(study, tmp_path):
    filed = replace(study, seeds=tuple(range(6)), rule=Rule(looks=(3, 6)))
    assert sequential(filed, tmp_path, 6).rule.looks == (3, 6)
    with pytest.raises(UserError, match="declared with looks"):
        sequential(filed, tmp_path, 8)


def test_a_fixed_study_does_not_become_a_sequential_one(study, tmp_path):
    declare(study, tmp_path)
    with pytest.raises(UserError, match="started with a fixed number of seeds, 3"):
        sequential(study, tmp_path, 12)
    with pytest.raises(UserError, match="a verdict takes at least 3 seeds"):
        sequential(study, tmp_path, 2)


@pytest.mark.parametrize("text", ["", "[]", "{}", "level", "margin", "looks", "seeds", "metrics", "reference"])
def test_a_broken_declaration_is_one_line(study, tmp_path, text):
    if text.isalpha():  # the key that it lacks
        declare(study, tmp_path)
        text = json.dumps(
            {key: value for key, value in json.loads((tmp_path / FILE).read_text()).items() if key != text}
        )
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=r"rule\.json: cannot be read") as caught:
        sequential(study, tmp_path)
    assert "\n" not in str(caught.value)
