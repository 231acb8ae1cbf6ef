"""Every function by its kernels against its formula."""

import pytest
import torch
import torch.nn.functional as F
from activation_reference import NAMES

from lpflu_bench.activations import create_activation, functional, fused
from lpflu_bench.activations.derivatives import KERNEL_DERIVATIVES, KERNEL_FORMULAS
from lpflu_bench.activations.fused import use_mode

PARAMETERS = {
    functional.felu: (1.1,),
    functional.logish: (1.1, 0.9),
    functional.lpflu: (0.01,),
    functional.mpelu: (0.7, 1.3),
    functional.pelu: (1.2, 0.8),
    functional.ptelu: (1.1, 0.9),
    functional.sau: (0.15, 2.0),
    functional.smish: (1.1, 0.9),
    functional.smu: (0.2, 1.0),
    functional.swish: (1.1,),
}
RANDOM = {"rrelu", "eelu"}


def parameters_of(formula):
    if formula not in PARAMETERS and formula.__name__.startswith("leaky_"):
        smooth = getattr(functional, formula.__name__.removeprefix("leaky_"), F.mish)
        return (0.01, *PARAMETERS.get(smooth, ()))
    return PARAMETERS.get(formula, ())


def points():
    tiny = torch.logspace(-38, -1, 200)
    return torch.cat([torch.linspace(-30, 30, 6001), torch.linspace(-1e4, 1e4, 2001), tiny, -tiny, torch.zeros(1)])


@pytest.mark.parametrize("formula", KERNEL_FORMULAS, ids=lambda formula: formula.__name__)
def test_kernel_forms_equal_the_formulas(formula):
    parameters = parameters_of(formula)
    x = points()
    wide = x.double().requires_grad_()
    exact = [torch.tensor(p, dtype=torch.float64).expand(x.shape).clone().requires_grad_() for p in parameters]
    expected = formula(wide, *exact)
    in_float = [torch.tensor(p) for p in parameters]
    torch.testing.assert_close(KERNEL_FORMULAS[formula](x, *in_float).double(), expected, rtol=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(expected.sum(), [wide, *exact])
    found = KERNEL_DERIVATIVES[formula](x, *in_float)
    assert len(found) == len(gradients)
    for each, gradient in zip(found, gradients, strict=True):
        # df/da of Leaky is x - S(x): a difference of large numbers right of 0
        torch.testing.assert_close(each.double(), gradient, rtol=2e-6, atol=2e-6 if gradient.abs().max() < 2 else 1e-3)


@pytest.mark.parametrize("formula", KERNEL_FORMULAS, ids=lambda formula: formula.__name__)
def test_kernel_forms_at_infinity(formula):
    parameters = [torch.tensor(p) for p in parameters_of(formula)]
    x = torch.tensor([float("inf"), 3e38, -3e38, float("-inf")])
    at_infinity = KERNEL_FORMULAS[formula](x, *parameters)
    assert not at_infinity.isnan().any()
    derivative = KERNEL_DERIVATIVES[formula](x, *parameters)[0]
    assert derivative.isfinite().all()
    far = torch.tensor([1e4, 1e4, -1e4, -1e4])
    torch.testing.assert_close(derivative, KERNEL_DERIVATIVES[formula](far, *parameters)[0], rtol=1e-4, atol=1e-4)
    missing = torch.tensor([float("nan")])
    assert KERNEL_FORMULAS[formula](missing, *parameters).isnan().all()
    assert KERNEL_DERIVATIVES[formula](missing, *parameters)[0].isnan().all()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in RANDOM])
def test_modes_agree(name, monkeypatch):
    monkeypatch.setattr(fused, "MINIMUM_ELEMENTS", 1)
    module = create_activation(name)
    torch._dynamo.reset()
    compiled = torch.compile(module)
    for dtype, tolerance in ((torch.float32, 4e-6), (torch.bfloat16, 1.6e-2), (torch.float16, 2e-3)):
        x = torch.cat([torch.linspace(-8, 8, 5000), torch.linspace(-1e4, 1e4, 1000)]).to(dtype)
        results = []
        for run, mode in ((module, "eager"), (module, "fused"), (compiled, "fused")):
            given = x.detach().requires_grad_()
            with use_mode(mode):
                y = run(given)
            wanted = [given, *module.parameters()]
            results.append([y, *torch.autograd.grad(y, wanted, torch.linspace(-1, 1, len(x)).to(dtype))])
        for found in results[1:]:
            for each, expected in zip(found, results[0], strict=True):
                scale = 1 if each.shape == x.shape else len(x) + expected.abs().max().item()
                torch.testing.assert_close(each, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_tensors_of_more_than_two_gib():
    x = torch.randn(1 << 29 | 1 << 8).requires_grad_()
    assert x.numel() * x.element_size() > 1 << 31
    y = fused.apply(functional.lpflu, x, 0.01)
    y.backward(torch.ones(()).expand(x.shape))
    for part in (slice(0, 100), slice(-100, None)):
        torch.testing.assert_close(y[part].detach(), functional.lpflu(x[part].detach(), 0.01), rtol=1e-6, atol=1e-6)
        again = x[part].detach().requires_grad_()
        functional.lpflu(again, 0.01).sum().backward()
        torch.testing.assert_close(x.grad[part], again.grad, rtol=1e-6, atol=1e-6)
