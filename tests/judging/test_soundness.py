"""Every check finds the fault it is there for, and passes what has none."""

import re
from pathlib import Path

import pytest
import torch

from lpflu_bench.errors import UserError
from lpflu_bench.judging import examination, soundness
from lpflu_bench.judging.findings import Outcome
from lpflu_bench.judging.floats import floats_of

FILE = Path(__file__).with_name("functions_to_judge.py")


def spec(name):
    return name if name.islower() and name != "swish" else f"{FILE}:{name}"


def found(check, name, *arguments):
    return list(check(spec(name), *arguments))


def test_floats_of_a_half_type_are_all_and_of_a_wide_one_reach_every_exponent():
    assert len(floats_of(torch.float16)) == 2 * 31 * 1024
    assert len(floats_of(torch.bfloat16)) == 2 * 255 * 128
    wide = floats_of(torch.float32)
    assert wide.dtype == torch.float32
    assert set(torch.frexp(wide[wide > 0])[1].tolist()) >= set(range(-125, 129))
    assert torch.equal(wide, wide.sort().values)


@pytest.mark.parametrize("name", ["Bent", "RenamedReLU", "swish", "lpflu", "mish"])
def test_sound_functions_fail_nothing_in_float32(name):
    checks = [
        *found(soundness.check_shapes, name),
        *found(soundness.check_repeats, name),
        *found(soundness.check_values, name, torch.float32),
        *found(soundness.check_gradients, name),
    ]
    assert [one for one in checks if one.outcome == Outcome.FAILED] == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Doubles", r"returns shape \[2, 6, 4, 5\] for .* \[2, 3, 4, 5\] \(functions_to_judge.py, line \d+\)"),
        ("WritesOver", r"writes over its input"),
    ],
)
def test_another_shape_and_a_changed_input_are_fatal(name, says):
    (one,) = found(soundness.check_shapes, name)
    assert one.fatal
    assert re.search(says, one.text)


def test_the_first_failing_point_is_shown_by_a_line_that_reproduces_it(capsys):
    checks = found(soundness.check_values, "Overflows", torch.float32)
    one = next(one for one in checks if one.outcome == Outcome.FAILED)
    assert 80 < float(re.search(r"x = (\S+) is", one.text)[1]) < 90
    assert not one.fatal
    exec(one.reproduce, {})
    assert "inf" in capsys.readouterr().out


def test_not_a_number_where_networks_compute_is_fatal():
    nearest = found(soundness.check_values, "NotANumberAtZero", torch.float32)[0]
    assert nearest.fatal
    assert re.search("x = -?0 is nan", nearest.text)


def test_a_wrong_gradient_is_found():
    (one,) = found(soundness.check_gradients, "WrongGradient")
    assert one.outcome == Outcome.FAILED


def test_a_leak_is_found_and_relu_has_none():
    (leak,) = found(soundness.check_memory, "Leaks")
    assert leak.fatal
    (none,) = found(soundness.check_memory, "relu")
    assert none.outcome == Outcome.PASSED


def test_the_curve_of_relu_and_of_silu():
    said = {one.check: one.text for one in found(soundness.check_curve, "relu")}
    assert said["monotone"] == "yes"
    assert said["Lipschitz bound"].startswith("1, ")
    assert said["saturation"] == "left at 0"
    assert re.fullmatch(r"the gradient is exactly 0 in \[-inf, -0.0005\]", said["dead zone"])
    said = {one.check: one.text for one in found(soundness.check_curve, "silu")}
    assert "falls within [-20, -1.28], minimum -0.2785 at x = -1.278" in said["monotone"]
    assert said["Lipschitz bound"].startswith("1.1, ")
    assert found(soundness.check_curve, "squared_relu")[1].text.startswith("none: the slope grows")


def test_the_longest_of_several_dead_zones_is_named():
    assert soundness._longest(torch.tensor([1, 1, 1, 0, 0, 1, 1])) == (0, 2)
    assert soundness._longest(torch.tensor([1, 0, 1, 1])) == (2, 3)
    assert soundness._longest(torch.tensor([0, 0])) is None


@pytest.mark.parametrize(("name", "outcome"), [("lpflu", Outcome.PASSED), ("Centred", Outcome.NOTED)])
def test_a_result_that_depends_on_other_elements_is_noted(name, outcome):
    said = {one.check: one.outcome for one in found(soundness.check_repeats, name)}
    assert said == {"repeatable": Outcome.PASSED, "elementwise": outcome}


def test_what_a_function_raises_is_a_finding_that_names_the_line():
    steps = dict(examination.steps(spec("Fails"), {}))
    (result,) = steps["shape"]()
    assert result["finding"]["fatal"]
    assert "RuntimeError: not written yet (functions_to_judge.py, line " in result["finding"]["text"]
    (result,) = steps["vmap"]()
    assert result["finding"]["outcome"] == "failed"
    assert not result["finding"]["fatal"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NotAModule", r"^functions_to_judge.py, line \d+: .*not an nn.Module class"),
        ("NeedsAnArgument", r"^functions_to_judge.py, line \d+: .*'power'"),
        ("Missing", r"functions_to_judge.py has no 'Missing'"),
    ],
)
def test_what_is_no_function_is_one_line_with_its_place(name, says):
    with pytest.raises(UserError, match=says):
        soundness.load(spec(name))


def test_what_frameworks_do_is_asked_by_the_conformance_checks():
    steps = dict(examination.steps("silu", {}))
    for name in set(examination.FRAMEWORKS) - {"compile", "export"}:
        (result,) = steps[name]()
        assert result["finding"]["outcome"] == "passed", result
