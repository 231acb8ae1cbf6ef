"""Values and derivatives against the printed formulas in 50 digits, and the facts known of each function."""

import math

import pytest
import torch
from activation_reference import CASES, NAMES, SMOOTH, formula
from mpmath import mp, mpf

from lpflu_bench import functional
from lpflu_bench.activations import create_activation
from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.activations.fused import use_mode

MAGNITUDES = (1e4, 1234.5, 300.0, 40.0, 10.0, 5.3, 3.3, 2.9, 2.0, 1.5, 1.25, 0.99, 0.75, 0.1, 1e-3, 1e-5, 1e-8, 1e-12)
POINTS = [sign * magnitude for magnitude in MAGNITUDES for sign in (-1, 1)]
PARAMETER_SETS = [
    pytest.param(name, parameters, id=f"{name}{list(parameters)}")
    for name, (_, sets) in CASES.items()
    for parameters in sets
]


PYTORCHS = {name for name in ENTRIES if getattr(functional, name).native is not None}  # computed by PyTorch's kernels


def test_every_function_has_a_reference():
    assert CASES.keys() == ENTRIES.keys()
    assert sum(entry.group == "paper" for entry in ENTRIES.values()) == 29


@pytest.mark.parametrize(("name", "parameters"), PARAMETER_SETS)
def test_value_and_derivative_are_the_formulas(name, parameters):
    reference, _ = CASES[name]
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    y = formula(name)(x, *parameters)
    y.sum().backward()
    exact = [mpf(value) for value in parameters]
    for point, value, slope in zip(POINTS, y.tolist(), x.grad.tolist(), strict=True):
        expected = reference(mpf(point), *exact)
        expected_slope = mp.diff(lambda t: reference(t, *exact), mpf(point))
        assert value == pytest.approx(float(expected), rel=1e-13, abs=1e-22), point
        # Where the derivative is tiny it is a difference of larger terms.
        assert slope == pytest.approx(float(expected_slope), rel=1e-12, abs=2e-16), point


@pytest.mark.parametrize("name", CASES)
def test_module_starts_with_the_default_parameters(name):
    _, sets = CASES[name]
    x = torch.tensor(POINTS, dtype=torch.float64)
    module = create_activation(name).double().eval()
    torch.testing.assert_close(module(x), formula(name)(x, *sets[0]), rtol=1e-6, atol=1e-7)  # parameters are float32


@pytest.mark.parametrize(
    ("name", "slope_at_0", "slope_below", "slope_above"),
    [
        ("sigmoid", 0.25, 0, 0),
        ("tanh", 1, 0, 0),
        ("elu", 1, 0, 1),
        ("selu", 1.758099340847377, 0, 1.0507009873554805),
        ("pelu", 1, 0, 1),
        ("mpelu", 0.25, 0, 1),
        ("felu", 1, 0, 1),
        ("eelu", 1, 0, 1),
        ("ptelu", 1, 0, 1),
        ("relu", 0, 0, 1),
        ("leaky_relu", 0.01, 0.01, 1),
        ("prelu", 0.25, 0.25, 1),
        ("rrelu", 11 / 48, 11 / 48, 1),
        ("gelu", 0.5, 0, 1),
        ("silu", 0.5, 0, 1),
        ("swish", 0.5, 0, 1),
        ("hardswish", 0.5, 0, 1),
        ("reu", 1, 0, 1),
        ("mish", 0.6, 0, 1),
        ("logish", math.log(1.5), 0, math.log(2)),
        ("smish", 5 / 13, 0, 0.6),
        ("gish", math.log(2 - 1 / math.e), 0, math.log(2)),
        ("pflu", 0.5, 0, 1),
        ("fpflu", 1, 0, 1),
        ("lpflu", 0.505, 0.01, 1),
        ("smu", 0.6, 0.2, 1),
        ("smu1", 0.505, 0.01, 1),
        ("sau", 0.575, 0.15, 1),
        ("pau", 0.61837738, 0.72302, 0.72302),
    ],
)
def test_slopes_at_zero_and_far_away(name, slope_at_0, slope_below, slope_above):
    x = torch.tensor([0.0, -1e4, 1e4], dtype=torch.float64, requires_grad=True)
    create_activation(name).double().eval()(x).sum().backward()
    assert x.grad.tolist() == pytest.approx([slope_at_0, slope_below, slope_above], rel=1e-6, abs=3e-8)


@pytest.mark.parametrize(
    ("name", "place", "minimum"),
    [
        ("gelu", -0.751791524694, -0.16997120748),
        ("silu", -1.27846454276, -0.278464542761),
        ("swish", -1.27846454276, -0.278464542761),
        ("hardswish", -1.5, -0.375),
        ("reu", -1.0, -1 / math.e),
        ("mish", -1.19243121452, -0.308843413017),
        ("logish", -1.37245413703, -0.252768816789),
        ("smish", -1.39451930192, -0.24999366366),
        ("gish", -1.28205104926, -0.278159460896),
        ("pflu", -0.786151377757, -0.150141553),
        ("fpflu", -1.0, -0.5),
        ("lpflu", -0.839718024816, -0.156760737175),
    ],
)
def test_minimum(name, place, minimum):
    module = create_activation(name).double().eval()
    x = torch.tensor(place, dtype=torch.float64, requires_grad=True)
    y = module(x)
    y.backward()
    assert y.item() == pytest.approx(minimum, abs=3e-9)  # lpflu's slope is float32
    assert x.grad.item() == pytest.approx(0, abs=3e-9)
    around = module(torch.linspace(-6, 6, 4001, dtype=torch.float64))
    assert around.min() >= minimum - 3e-9


@pytest.mark.parametrize("name", sorted({*SMOOTH} - {"reu", "fpflu"}))  # these two are not twice differentiable at 0
def test_second_derivative_at_zero_does_not_depend_on_the_side(name):
    x = torch.tensor([-1e-7, 0.0, 1e-7], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(create_activation(name).double()(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert second.tolist() == pytest.approx([second[1].item()] * 3, abs=1e-5)
    assert second[1].item() > 0.1


def limit(name: str, dtype: torch.dtype) -> float:
    """What a function tends to at minus infinity, seen from far away."""
    far = create_activation(name).eval()(torch.tensor([-1e4, -2e4], dtype=torch.float64)).tolist()
    grows = far[1] < 1.5 * far[0] and far[0] < -1
    return -math.inf if grows else pytest.approx(far[1], rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_not_a_number_and_infinities(name, dtype):
    nan, below, above = (
        create_activation(name).eval()(torch.tensor([math.nan, -math.inf, math.inf], dtype=dtype)).tolist()
    )
    assert math.isnan(nan)
    if name in PYTORCHS or name in {"snake", "xielu"}:
        return  # PyTorch promises nothing there, and its kernels differ from CPU to CPU; these two have other limits
    assert below == limit(name, dtype)
    assert above == math.inf


@pytest.mark.parametrize("name", sorted(PYTORCHS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_our_formula_of_pytorchs_functions_has_limits_too(name, dtype):
    module = create_activation(name)
    x = torch.tensor([-math.inf, math.inf, math.nan], dtype=dtype)
    below, above, nan = getattr(functional, name).composed(x, *module.arguments_for(x)).tolist()
    assert below == limit(name, dtype)
    assert above == pytest.approx({"sigmoid": 1, "tanh": 1, "relu6": 6}.get(name, math.inf))
    assert math.isnan(nan)


def test_a_gelu_that_fails_at_infinity_spoils_gelu_alone(monkeypatch):
    """A stand-in for PyTorch's GELU on CPUs with AVX-512, where oneDNN computes it: NaN at plus infinity."""

    def onednn_gelu(x, approximate="none"):
        return torch.where(x == math.inf, math.nan, x * torch.special.ndtr(x.float())).to(x.dtype)

    monkeypatch.setattr(torch.nn.functional, "gelu", onednn_gelu)
    x = torch.tensor([1.0, math.inf])
    assert create_activation("gelu")(x).isnan().tolist() == [False, True]
    assert create_activation("leaky_gelu")(x).isnan().tolist() == [False, False]
    with use_mode("eager"):
        assert create_activation("leaky_gelu")(x).isnan().tolist() == [False, False]


@pytest.mark.parametrize(
    "name", ["pflu", "fpflu", "lpflu", "gish", "logish", "smish", "reu", "swish", "sau", "smu", "smu1"]
)
def test_huge_float32_arguments_stay_finite(name):
    x = torch.tensor([-1e33, -1e30, -1e20, -1e19, 1e19, 1e20, 1e30], requires_grad=True)
    y = create_activation(name).eval()(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_negative_tails_keep_their_digits_in_float32():
    x = torch.tensor([-30.0, -300.0, -3000.0, -9999.0])
    exact = [float(CASES["pflu"][0](mpf(value))) for value in x.tolist()]
    assert create_activation("pflu")(x).tolist() == pytest.approx(exact, rel=1e-6)
    x = torch.tensor([-17.0, -30.0, -80.0])
    for name in ("logish", "smish", "gish", "reu"):
        reference, parameters = CASES[name][0], CASES[name][1][0]
        exact = [float(reference(mpf(value), *parameters)) for value in x.tolist()]
        assert create_activation(name)(x).tolist() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("name", [*SMOOTH, *(f"leaky_{name}" for name in SMOOTH)])
def test_function_is_continuously_differentiable_where_the_catalogue_says_smooth(name):
    x = torch.linspace(-8, 8, 16001, dtype=torch.float64, requires_grad=True)
    create_activation(name).double().eval()(x).sum().backward()
    assert x.grad.diff().abs().max() < 0.01
