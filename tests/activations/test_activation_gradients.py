"""Derivatives of modules in their input and parameters: first and second order, over the whole range, at bounds."""

import pytest
import torch
from activation_reference import NAMES, SMOOTH
from torch import Tensor

from lpflu_bench.activations import create_activation
from lpflu_bench.activations.base import Activation

PER_CHANNEL = ["prelu", "ptelu", "mpelu", "felu", "eelu", "swish"]
TRAINED = [*PER_CHANNEL, "pelu", "pau", "sau", "smu", "smu1"]
# At its default sharpness (2e4, 4e-9) a step of gradcheck crosses the whole rounded corner.
GENTLE = {"sau": {"alpha": 0.25, "beta": 1.0}, "smu1": {"alpha": 0.25, "mu": 1.0}}
AWAY_FROM_KINKS = [-7.3, -2.6, -1.1, -0.4, 0.3, 0.9, 2.2, 6.1]


def in_float64(module):
    """Every number in float64, a Leaky's slopes too, so that differences of 1e-6 can be seen."""
    for submodule in module.modules():
        for store in (submodule._parameters, submodule._buffers):
            for key, value in store.items():
                if value is not None:
                    with torch.no_grad():
                        data = value.double()
                    store[key] = torch.nn.Parameter(data) if isinstance(value, torch.nn.Parameter) else data
    return module


def check_both_orders(module, x: Tensor) -> None:
    parameters = dict(module.named_parameters())

    def function(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), (x,))

    values = [value.detach().clone().requires_grad_() for value in parameters.values()]
    assert torch.autograd.gradcheck(function, (x, *values))
    assert torch.autograd.gradgradcheck(function, (x, *values))


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck_and_gradgradcheck(name):
    x = torch.tensor(AWAY_FROM_KINKS, dtype=torch.float64, requires_grad=True)
    check_both_orders(in_float64(create_activation(name, **GENTLE.get(name, {})).eval()), x)


@pytest.mark.parametrize("name", PER_CHANNEL)
def test_gradcheck_per_channel(name):
    x = torch.tensor(AWAY_FROM_KINKS * 3, dtype=torch.float64).view(4, 3, 2).requires_grad_()
    module = in_float64(create_activation(name, num_parameters=3).eval())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter *= torch.tensor([0.8, 1.0, 1.3])
    check_both_orders(module, x)


@pytest.mark.parametrize("name", ["lpflu", "leaky_gelu"])
def test_gradcheck_of_the_trainable_slope(name):
    x = torch.tensor(AWAY_FROM_KINKS, dtype=torch.float64, requires_grad=True)
    check_both_orders(in_float64(create_activation(name, slope="trainable")), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_finite_over_the_range(name, dtype):
    grid = torch.cat([torch.logspace(-8, 4, 2000), torch.tensor([1e-40, 3.0, 88.0, 88.7, 88.73, 11.09, 256.0])])
    if dtype is torch.float16 and name in {"squared_relu", "star_relu", "xielu"}:
        grid = grid.clamp(max=200.0)  # their values grow with the square of x
    x = torch.cat([-grid, torch.tensor([-0.0, 0.0]), grid]).to(dtype).requires_grad_()
    module = create_activation(name).to(dtype)
    for training in (True, False):
        x.grad = None
        module.zero_grad()
        y = module.train(training)(x)
        assert y.dtype is dtype
        y.float().sum().backward()
        assert y.isfinite().all()
        assert x.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in module.parameters())
        assert all(p.dtype is torch.float32 for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_float32_rounded(name, dtype):
    module = create_activation(name).eval()
    x = torch.cat([-torch.logspace(-3, 4, 300), torch.logspace(-3, 4, 300)]).to(dtype).requires_grad_()
    wide = x.detach().float().requires_grad_()
    module(x).float().sum().backward()
    module(wide).sum().backward()
    # PyTorch's own kernels promise no more than to be close, and on some CPUs are no closer than 5e-7 in float16.
    atol = 1e-7 if module.function.native is None else 1e-6
    torch.testing.assert_close(module(x), module(wide).to(dtype), rtol=torch.finfo(dtype).eps, atol=atol)
    # PyTorch's sigmoid and tanh differentiate from the rounded output.
    atol = torch.finfo(dtype).eps if name in {"sigmoid", "tanh"} else 1e-4
    torch.testing.assert_close(x.grad, wide.grad.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=atol)


@pytest.mark.parametrize(
    ("name", "parameter", "outside", "bound"),
    [
        ("ptelu", "alpha", -0.3, 0.0),
        ("ptelu", "beta", -0.3, 0.0),
        ("mpelu", "beta", -1.0, 0.0),
        ("eelu", "alpha", -0.3, 0.0),
        ("eelu", "beta", -0.3, 0.0),
        ("pelu", "a", 0.05, 0.1),
        ("pelu", "a", 2.5, 2.0),
        ("pelu", "b", -1.0, 0.1),
    ],
)
def test_constrained_parameter_acts_at_its_bound_and_comes_back(name, parameter, outside, bound):
    x = torch.linspace(-100, 3, 50)
    module, at_bound = create_activation(name).eval(), create_activation(name).eval()
    with torch.no_grad():
        getattr(module, parameter).fill_(outside)
        getattr(at_bound, parameter).fill_(bound)
    torch.testing.assert_close(module(x), at_bound(x))
    target = create_activation(name).eval()(x).detach()
    optimizer = torch.optim.SGD([getattr(module, parameter)], lr=1e-3)
    for _ in range(5000):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(module(x), target, reduction="sum").backward()
        getattr(module, parameter).grad.clamp_(-10, 10)
        optimizer.step()
        inside = getattr(module, parameter).item() > bound if bound < 2 else getattr(module, parameter).item() < bound
        if inside:
            break
    assert inside


def test_negative_beta_does_not_explode():
    module = create_activation("mpelu")
    with torch.no_grad():
        module.beta.fill_(-1.0)
    assert module(torch.tensor([-100.0])).isfinite().all()


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_gets_a_gradient_at_the_start(name):
    module = create_activation(name)
    x = torch.cat([torch.linspace(-3, 3, 61), torch.tensor([1e-9, 1e-5])])
    (module(x) ** 2).sum().backward()
    assert all(isinstance(p.grad, Tensor) and (p.grad != 0).all() for p in module.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_functional_transforms(name):
    module = create_activation(name).eval()
    x = torch.tensor(AWAY_FROM_KINKS)
    batched = torch.func.vmap(torch.func.grad(lambda t: module(t)))(x)
    leaf = x.clone().requires_grad_()
    module(leaf).sum().backward()
    torch.testing.assert_close(batched, leaf.grad)


@pytest.mark.parametrize("name", [*SMOOTH, "lpflu", "smu", "ptelu"])
def test_gradient_penalty_reaches_the_input_and_the_parameters(name):
    module = create_activation(name)
    x = torch.tensor(AWAY_FROM_KINKS, requires_grad=True)
    (first,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    (first**2).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.any()
    assert all(p.grad.any() for p in module.parameters())


@pytest.mark.parametrize("name", TRAINED)
def test_parameters_stay_float32(name):
    module = create_activation(name)
    assert isinstance(module, Activation)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    for convert in (module.half, module.bfloat16, lambda: module.to(torch.float16)):
        convert()
        torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
    assert all(p.dtype is torch.float64 for p in module.double().parameters())
    assert all(p.dtype is torch.float32 for p in module.half().parameters())
