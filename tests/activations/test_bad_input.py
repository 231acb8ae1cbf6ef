"""What a function cannot take is refused in one line that names the function and the argument, in every mode."""

import re

import pytest
import torch
from activation_reference import NAMES

from lpflu_bench import functional, nn
from lpflu_bench.activations import create_activation
from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.activations.conformance import DTYPES
from lpflu_bench.activations.formula import Formula
from lpflu_bench.activations.fused import use_mode

X = torch.zeros(2, 4)
FORMULAS = [f for f in vars(functional).values() if isinstance(f, Formula)]
WITH_PARAMETERS = [f for f in FORMULAS if f.defaults and not f.coefficients]


def compiled(module):
    torch.compiler.reset()
    return torch.compile(module, backend="eager")


def exported(module):
    return lambda x: torch.export.export(module, (x,))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_tensors_without_real_numbers(name, dtype):
    module = create_activation(name)
    smooth = name.removeprefix("leaky_") if name not in ENTRIES else name
    message = rf"^\w*{smooth}: x must be a floating-point tensor, got {dtype}$"
    for mode in ("eager", "fused", "compiled"):
        with use_mode(mode), pytest.raises(TypeError, match=message):
            module(torch.ones(2, dtype=dtype))


@pytest.mark.parametrize("run", [compiled, exported])
@pytest.mark.parametrize("name", ["relu", "lpflu", "gish", "pau", "leaky_gelu"])
def test_tensors_without_real_numbers_while_a_graph_is_made(name, run):
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(TypeError, match=rf"^\w+: x must be a floating-point tensor, got {dtype}$"):
            run(create_activation(name))(torch.ones(2, dtype=dtype))


@pytest.mark.parametrize("run", [compiled, exported, lambda module: module], ids=["compiled", "exported", "eager"])
@pytest.mark.parametrize(
    ("x", "reason"),
    [(torch.zeros(2, 4), r"x of shape \[2, 4\] has 4 channels"), (torch.zeros(3), "has no channel dimension")],
    ids=["channels", "dimension"],
)
def test_a_parameter_for_each_of_other_channels(x, reason, run):
    with pytest.raises(ValueError, match=rf"^prelu: weight has shape \[3\], but x of shape .*{reason[-20:]}$"):
        run(create_activation("prelu", num_parameters=3))(x)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.name)
def test_what_is_no_tensor(formula):
    given = [torch.ones(length) for length in formula.coefficients.values()]
    given = given or [0.5] * len(formula.defaults)
    with pytest.raises(TypeError, match=rf"^{formula.name}: x must be a floating-point tensor, got float$"):
        formula(1.0, *given)


@pytest.mark.parametrize("formula", WITH_PARAMETERS, ids=lambda formula: formula.name)
def test_parameters_that_are_no_numbers(formula):
    for index, (name, default) in enumerate(formula.defaults.items()):
        wanted = "a string" if isinstance(default, str) else "a number or a floating-point tensor"
        for value in (
            3 if isinstance(default, str) else "a",
            None,
            True,
            1j,
            [1.0],
            torch.tensor([1]),
            torch.tensor(1j),
        ):
            given = [0.5] * len(formula.defaults)
            given[index] = value
            with pytest.raises(TypeError, match=rf"^{formula.name}: {name} must be {wanted}, got [\w.]+$"):
                formula(X, *given)


@pytest.mark.parametrize("formula", WITH_PARAMETERS, ids=lambda formula: formula.name)
def test_parameters_of_shapes_that_fit_nothing(formula):
    if formula in (functional.elu, functional.celu, functional.leaky_relu, functional.softplus, functional.gelu):
        pytest.skip("PyTorch's own function, which takes numbers")
    for mode in ("eager", "fused", "compiled"):
        with (
            use_mode(mode),
            pytest.raises(ValueError, match=rf"^{formula.name}: \w+ has shape \[3, 3\], but .*\[2, 4\]"),
        ):
            formula(X, *[torch.ones(3, 3)] * len(formula.defaults))


def test_coefficients_of_another_length():
    with pytest.raises(ValueError, match=r"^pau: numerator must be a tensor of shape \[6\], got \[2\]$"):
        functional.pau(X, torch.ones(2), torch.ones(4))


def test_unknown_and_superfluous_parameters():
    with pytest.raises(TypeError, match=r"^lpflu: b is no parameter of it$"):
        functional.lpflu(X, b=1)
    with pytest.raises(TypeError, match=r"^lpflu: a is given twice$"):
        functional.lpflu(X, 0.1, a=0.1)
    with pytest.raises(TypeError, match=r"^smu: takes x and at most 2 parameters, got 3$"):
        functional.smu(X, 1, 2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_settings(name):
    with pytest.raises(TypeError, match=r"^\w+: colour is no setting of it[;,\w ]*$"):
        create_activation(name, colour="red")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inplace", ["yes", 1, 0, None, [], torch.tensor(True)], ids=repr)
def test_inplace_is_true_or_false(name, inplace):
    with pytest.raises(TypeError, match=rf"^\w+: inplace must be True or False, got {re.escape(repr(inplace))}$"):
        create_activation(name, inplace=inplace)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", ["nowhere", 1.5, []], ids=repr)
def test_an_unknown_device(name, device):
    with pytest.raises((TypeError, RuntimeError), match=r"^\w+: device must be one of PyTorch's, got .*$"):
        create_activation(name, device=device)


def test_the_nearest_setting_is_named():
    with pytest.raises(TypeError, match=r"^lpflu: slopes is no setting of it; the nearest are slope, lower$"):
        create_activation("lpflu", slopes="ema")


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("elu", {"alpha": "1"}, TypeError, "elu: alpha must be a number, got '1'"),
        ("swish", {"beta": None}, TypeError, "swish: beta must be a number, got None"),
        ("lpflu", {"value": True}, TypeError, "lpflu: value must be a number, got True"),
        ("smu", {"alpha": float("nan")}, ValueError, "smu: alpha must be finite, got nan"),
        ("prelu", {"num_parameters": 2.5}, TypeError, "prelu: num_parameters must be a whole number, got 2.5"),
        ("prelu", {"num_parameters": 0}, ValueError, "prelu: num_parameters must be at least 1, got 0"),
        ("lpflu", {"slope": "random"}, ValueError, "slope must be one of ema, fixed, trainable, got 'random'"),
        ("lpflu", {"lower": 0.3, "upper": 0.2}, ValueError, "upper must be in (lower, 1), got 0.2 with lower 0.3"),
        ("mish", {"dtype": "float32"}, TypeError, "mish: dtype must be a floating-point dtype, got 'float32'"),
        ("mish", {"dtype": torch.int64}, TypeError, "mish: dtype must be a floating-point dtype, got torch.int64"),
        ("gelu", {"approximate": "exact"}, ValueError, "gelu: approximate must be "),
        ("gelu", {"approximate": 1}, ValueError, "gelu: approximate must be "),
        ("sau", {"beta": 0.0}, ValueError, "sau: beta"),
        ("smu1", {"mu": 0.0}, ValueError, "smu1: mu"),
    ],
)
def test_settings_without_a_function(name, settings, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}.*$"):
        create_activation(name, **settings)


def test_numbers_of_other_libraries_are_numbers():
    numpy = pytest.importorskip("numpy")
    assert nn.ELU(numpy.float32(0.5)).alpha == 0.5
    assert nn.PReLU(numpy.int64(3)).weight.shape == (3,)
    for dtype in DTYPES:
        assert functional.lpflu(X, torch.ones(1, dtype=dtype)).shape == X.shape
