"""Identities between functions and their values at opposite arguments, for any argument and parameters."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lpflu_bench import functional
from lpflu_bench.activations import create_activation

arguments = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8).map(lambda v: torch.tensor(v, dtype=torch.float64))
slopes = st.floats(0, 0.99)
sharpness = st.floats(0.05, 20)
few = settings(max_examples=60, deadline=None)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def derivative(function, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(x).sum(), x)
    return slope


@given(x=arguments)
@few
@pytest.mark.parametrize("name", ["pflu", "gelu", "silu", "swish"])
def test_difference_of_opposite_arguments_is_the_argument(name, x):
    f = create_activation(name).double()
    close(f(x) - f(-x), x)


@given(x=arguments, a=slopes)
@few
def test_lpflu_of_opposite_arguments(x, a):
    def f(t: Tensor) -> Tensor:
        return functional.lpflu(t, a)

    close(f(x) - f(-x), (1 + a) * x)
    close(derivative(f, x) + derivative(f, -x), torch.full_like(x, 1 + a))


@given(x=arguments, a=slopes, b=sharpness)
@few
@pytest.mark.parametrize("function", [functional.smu, functional.smu1, functional.sau])
def test_smooth_leaky_relus_of_opposite_arguments(function, x, a, b):
    close(function(x, a, b) - function(-x, a, b), (1 + a) * x)


@given(x=arguments, b=sharpness)
@few
def test_scaling(x, b):
    close(functional.swish(x, b), torch.nn.functional.silu(b * x) / b)
    close(functional.logish(x, 1.0, b), functional.logish(b * x) / b)
    close(functional.smish(x, 1.0, b), functional.smish(b * x) / b)
    close(functional.logish(x, b), b * functional.logish(x))
    close(functional.smish(x, b), b * functional.smish(x))


@given(x=arguments)
@few
def test_smu_without_leak_is_gelu(x):
    close(functional.smu(x, 0.0, math.sqrt(0.5)), torch.nn.functional.gelu(x))


@given(x=arguments, a=slopes, b=sharpness)
@few
def test_sau_is_smu_and_a_gaussian(x, a, b):
    gaussian = torch.exp(-0.5 * (b * x) ** 2) / math.sqrt(2 * math.pi)
    close(functional.sau(x, a, b), functional.smu(x, a, b / (math.sqrt(2) * (1 - a))) + (1 - a) / b * gaussian)


@given(x=arguments, a=slopes, b=sharpness)
@few
def test_derivative_of_sau_is_a_mixture(x, a, b):
    cdf = torch.erfc(-b * x / math.sqrt(2)) / 2
    torch.testing.assert_close(
        derivative(lambda t: functional.sau(t, a, b), x), a + (1 - a) * cdf, rtol=1e-11, atol=1e-11
    )


@given(x=arguments)
@few
def test_elu_family_is_elu_at_ones(x):
    elu = torch.nn.functional.elu(x)
    for y in (
        functional.mpelu(x, 1.0, 1.0),
        functional.pelu(x, 1.0, 1.0),
        functional.felu(x, 1.0),
        functional.eelu(x, 1.0, 1.0, 1.0),
    ):
        close(y, elu)


@given(x=arguments)
@few
def test_lpflu_between_pflu_and_identity(x):
    close(functional.lpflu(x, 0.0), functional.pflu(x))
    close(functional.lpflu(x, 1.0), x)


@given(x=arguments, a=slopes, b=sharpness)
@few
def test_side_of_the_approximation(x, a, b):
    leaky = torch.where(x > 0, x, a * x)
    room = 1e-12 * (1 + x.abs())
    gap = leaky - functional.lpflu(x, a)
    assert (gap >= -room).all()
    assert (gap <= (1 - a) * 0.150141554 + room).all()
    assert (functional.pflu(x) <= torch.relu(x) + room).all()
    assert (functional.smu(x, a, b) <= leaky + room).all()
    assert (functional.smu1(x, a, b) >= leaky - room).all()
    assert (functional.sau(x, a, b) >= leaky - room).all()


@pytest.mark.parametrize(("a", "monotone"), [(0.02, False), (0.0424, False), (0.0425, True), (0.2, True)])
def test_lpflu_is_monotone_from_a_slope_on(a, monotone):
    slope = derivative(lambda t: functional.lpflu(t, a), torch.linspace(-3, 3, 6001, dtype=torch.float64))
    assert bool((slope >= 0).all()) is monotone


@pytest.mark.parametrize(("alpha", "monotone"), [(0.01, False), (0.1141, False), (0.1142, True), (0.2, True)])
def test_smu_is_monotone_from_an_alpha_on(alpha, monotone):
    slope = derivative(lambda t: functional.smu(t, alpha, 1.0), torch.linspace(-3, 3, 6001, dtype=torch.float64))
    assert bool((slope >= 0).all()) is monotone


def test_lpflu_slope_range():
    slope = derivative(lambda t: functional.lpflu(t, 0.01), torch.tensor([-math.sqrt(2), math.sqrt(2)]).double())
    c = 2 * math.sqrt(6) / 9 - 0.5
    assert slope.tolist() == pytest.approx([0.01 - 0.99 * c, 1 + 0.99 * c], abs=1e-12)


def test_pau_fits_leaky_relu_only_near_zero():
    pau = create_activation("pau").double()
    x = torch.linspace(-3, 3, 2001, dtype=torch.float64)
    gap = (pau(x) - torch.nn.functional.leaky_relu(x, 0.01)).abs().max().item()
    assert gap == pytest.approx(0.0298, abs=1e-3)
    assert pau(torch.tensor([-10.0, 10.0]).double()).tolist() == pytest.approx([-2.73, 9.02], abs=0.01)


@given(x=arguments, a=st.floats(-0.4, 2))
@few
def test_expanded_gates_of_opposite_arguments(x, a):
    for f in (functional.xatlu, functional.xgelu, functional.xsilu):
        close(f(x, a) - f(-x, a), x)
        close(f(x, a), (1 + 2 * a) * f(x, 0.0) - a * x)
    close(functional.xgelu(x, 0.0), torch.nn.functional.gelu(x))
    close(functional.xsilu(x, 0.0), torch.nn.functional.silu(x))


@given(x=arguments, p=st.floats(-2, 2), q=st.floats(-2, 2), b=sharpness)
@few
def test_acon_c(x, p, q, b):
    f = functional.acon_c
    unit = 1 + x.abs()
    close(f(x, p, q, b) / unit, f(x, q, p, b) / unit)  # a smooth maximum is symmetric in what it compares
    close((f(x, p, q, b) - f(-x, p, q, b)) / unit, (p + q) * x / unit)
    close(f(x, 1.0, 0.0, b), functional.swish(x, b))
    close(f(x, p, p, b), p * x)
    assert ((p * x).maximum(q * x) - f(x, p, q, b) <= 0.278464544 / b + 1e-12 * unit).all()


@given(
    x=st.lists(st.floats(-100, 100), min_size=1, max_size=8).map(lambda v: torch.tensor(v, dtype=torch.float64)),
    a=st.floats(0.1, 20),
)
@few
def test_snake_shifts_by_its_period(x, a):
    period = math.pi / a
    torch.testing.assert_close(functional.snake(x + period, a), functional.snake(x, a) + period, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(functional.snake(x, a) - functional.snake(-x, a), 2 * x, rtol=1e-11, atol=1e-11)


@given(x=arguments, a=slopes, e=st.floats(0.01, 50))
@few
def test_berlu_of_opposite_arguments(x, a, e):
    f = functional.berlu
    close(f(x, a, e) - f(-x, a, e), (1 + a) * x)
    close(f(e * x, a, e), e * f(x, a, 1.0))
    far = torch.where(x.abs() < e, e, x)
    close(f(far, a, e), torch.where(far > 0, far, a * far))


@given(x=arguments)
@few
def test_gates_of_recent_years(x):
    mish = functional.mish(x)
    close(mish, x * torch.tanh(torch.nn.functional.softplus(x)))
    # Gates in order: tanh(softplus) <= erf(softplus), tanh(softplus) <= tanh(exp).
    assert (functional.serf(x).abs() >= mish.abs() - 1e-12).all()
    assert (functional.telu(x).abs() >= mish.abs() - 1e-12).all()
    assert (functional.phish(x) >= -1e-300).all()
    assert (functional.golu(x) <= torch.relu(x)).all()


@given(x=arguments, b=st.floats(0.05, 5), p=st.floats(-3, 3), n=st.floats(-3, 3))
@few
def test_derivative_of_xielu_is_an_elu_on_the_left_and_linear_on_the_right(x, b, p, n):
    near = x.clamp(-50, 1e3)
    softplus = torch.nn.functional.softplus
    rise, fall = softplus(torch.tensor([p, n], dtype=torch.float64))
    expected = torch.where(near > 0, 2 * rise * near + b, (b + fall) * torch.expm1(near.clamp(max=0)) + b)
    found = derivative(lambda t: functional.xielu(t, p, n, b), near)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@given(x=arguments)
@few
def test_relus_and_their_squares(x):
    relu = torch.relu(x)
    close(functional.squared_relu(x), relu**2)
    close(functional.star_relu(x, 2.0, -0.5), 2 * relu**2 - 0.5)
    close(functional.relu6(x), relu - torch.relu(x - 6))
    close(functional.celu(x, 0.7), 0.7 * torch.nn.functional.elu(x / 0.7))
    close(functional.softplus(x) - functional.softplus(-x), x)


def test_names_that_are_easy_to_mix_up():
    x = torch.tensor([-1.0], dtype=torch.float64)
    assert create_activation("fpflu")(x).item() == -0.5  # IMPFLU: -0.29
    assert create_activation("felu").double()(x).item() == pytest.approx(math.expm1(-1))  # base e: -0.76
    assert create_activation("rrelu").eval()(x).item() == pytest.approx(-11 / 48)  # the original text: -2/11
    assert create_activation("gelu")(x).item() == pytest.approx(-0.158655253931457)  # tanh form: -0.15881
