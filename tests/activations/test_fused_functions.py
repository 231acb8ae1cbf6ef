"""Every function's forms for kernels against its formula, and every module by its kernels."""

import pytest
import torch
from activation_reference import CASES, SMOOTH

from lpflu_bench import functional

FUNCTIONS = [getattr(functional, name) for name in CASES]
LEAKY = [getattr(functional, name).leaky for name in SMOOTH if name != "pflu"]  # that one is lpflu itself
FORMS = [f for f in (*FUNCTIONS, *LEAKY) if f.derivatives is not None]
AWAY_FROM_DEFAULTS = {
    "felu": (1.1,),
    "logish": (1.1, 0.9),
    "mpelu": (0.7, 1.3),
    "pelu": (1.2, 0.8),
    "ptelu": (1.1, 0.9),
    "sau": (0.15, 2.0),
    "smish": (1.1, 0.9),
    "smu1": (0.1, 0.5),
    "swish": (1.1,),
    "xgelu": (0.3,),
}


def parameters_of(formula):
    smooth = formula.name.removeprefix("leaky_")
    if smooth == formula.name:
        return AWAY_FROM_DEFAULTS.get(smooth, tuple(formula.defaults.values()))
    return (0.01, *parameters_of(getattr(functional, smooth)))


def numbers(parameters, **options):
    return [torch.tensor(p, **options) if isinstance(p, float) else p for p in parameters]


def points():
    tiny = torch.logspace(-38, -1, 200)
    return torch.cat([torch.linspace(-30, 30, 6001), torch.linspace(-1e4, 1e4, 2001), tiny, -tiny, torch.zeros(1)])


@pytest.mark.parametrize("formula", FORMS, ids=lambda formula: formula.name)
def test_kernel_forms_equal_the_formulas(formula):
    parameters = parameters_of(formula)
    x = points()
    wide = x.double().requires_grad_()
    exact = [
        p.expand(x.shape).clone().requires_grad_() if isinstance(p, torch.Tensor) else p
        for p in numbers(parameters, dtype=torch.float64)
    ]
    expected = formula.plain(wide, *exact)
    in_float = numbers(parameters)
    scale = max(1, expected.abs().max().item() / 1e4)
    kernel = formula.kernel or formula.plain
    torch.testing.assert_close(kernel(x, *in_float).double(), expected, rtol=1e-6, atol=1e-6 * scale)
    tensors = [p for p in exact if isinstance(p, torch.Tensor)]
    gradients = torch.autograd.grad(expected.sum(), [wide, *tensors])
    found = formula.derivatives(x, *in_float)
    assert len(found) == len(in_float) + 1
    found = [found[0], *(each for each, p in zip(found[1:], in_float, strict=True) if isinstance(p, torch.Tensor))]
    for each, gradient in zip(found, gradients, strict=True):
        # df/da of Leaky is x - S(x): a difference of large numbers right of 0
        atol = 2e-6 if gradient.abs().max() < 2 else 1e-3
        torch.testing.assert_close(each.double(), gradient, rtol=2e-6, atol=atol)


@pytest.mark.parametrize("formula", FORMS, ids=lambda formula: formula.name)
def test_kernel_forms_at_infinity(formula):
    parameters = numbers(parameters_of(formula))
    kernel = formula.kernel or formula.plain
    x = torch.tensor([float("inf"), 3e38, -3e38, float("-inf")])
    assert not kernel(x, *parameters).isnan().any()
    if formula.name.removeprefix("leaky_") in UNBOUNDED_SLOPE:
        return
    derivative = formula.derivatives(x, *parameters)[0]
    assert derivative.isfinite().all()
    far = torch.tensor([1e4, 1e4, -1e4, -1e4])
    torch.testing.assert_close(derivative, formula.derivatives(far, *parameters)[0], rtol=1e-4, atol=1e-4)
    assert kernel(torch.tensor([float("nan")]), *parameters).isnan().all()


UNBOUNDED_SLOPE = {"squared_relu", "star_relu"}


@pytest.mark.parametrize("formula", FORMS, ids=lambda formula: formula.name)
def test_gradients_of_infinity_and_nan_are_the_same_in_both_forms(formula):
    parameters = numbers(parameters_of(formula))
    x = torch.tensor([float("inf"), 3e38, 1e20, -1e20, -3e38, float("-inf"), float("nan")], requires_grad=True)
    (eager,) = torch.autograd.grad(formula.composed(x, *parameters).sum(), x)
    found = formula.derivatives(x.detach(), *parameters)[0]
    torch.testing.assert_close(found.expand(eager.shape), eager, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_tensors_of_more_than_two_gib():
    x = torch.randn(1 << 29 | 1 << 8).requires_grad_()
    assert x.numel() * x.element_size() > 1 << 31
    y = functional.lpflu(x, 0.01)
    y.backward(torch.ones(()).expand(x.shape))
    for part in (slice(0, 100), slice(-100, None)):
        again = x[part].detach().requires_grad_()
        expected = functional.lpflu.composed(again, 0.01)
        torch.testing.assert_close(y[part].detach(), expected.detach(), rtol=1e-6, atol=1e-6)
        expected.sum().backward()
        torch.testing.assert_close(x.grad[part], again.grad, rtol=1e-6, atol=1e-6)
