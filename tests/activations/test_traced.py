"""Under torch.compile a function is one graph from its first call on, with the derivatives of its kernels."""

import pytest
import torch
from activation_reference import NAMES

from lpflu_bench import functional
from lpflu_bench.activations import create_activation
from lpflu_bench.activations.fused import use_mode
from lpflu_bench.activations.pointwise import leaky_form

RANDOM = ("rrelu", "eelu")
FAST = ("lpflu", "smu", "mish", "gish", "serf", "xgelu", "rrelu", "pau", "acon_c", "leaky_gelu")
X = torch.cat([torch.tensor([0.0, -0.0, 300.0, -300.0]), torch.linspace(-12, 12, 56)]).view(3, 4, 5)


@pytest.fixture(autouse=True)
def _forget_graphs():
    torch.compiler.reset()


def gradients(function, x, parameters=()):
    x = x.detach().clone().requires_grad_()
    y = function(x)
    weights = torch.linspace(-1, 1, y.numel()).view_as(y).to(y.dtype)
    return y, *torch.autograd.grad(y, [x, *parameters], weights)


def assert_compiles_to_the_formula(module, x, backend, tolerance=1e-5):
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    found = gradients(torch.compile(module, backend=backend, fullgraph=True), x, parameters)
    with use_mode("eager"):
        expected = gradients(module, x, parameters)
    for a, b in zip(found, expected, strict=True):
        scale = 1 if b.shape == x.shape else x.numel() + b.abs().max().item()  # a sum of terms that may cancel
        assert a.dtype is b.dtype
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_values_and_gradients_are_the_formulas(name):
    assert_compiles_to_the_formula(create_activation(name).train(name not in RANDOM), X, "eager")


@pytest.mark.parametrize("name", ["prelu", "swish", "snake"])
def test_a_parameter_for_each_channel(name):
    module = create_activation(name, num_parameters=4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(torch.linspace(0.5, 1.5, 4))
    assert_compiles_to_the_formula(module, X, "aot_eager")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 1.6e-2), (torch.float16, 2e-3)], ids=str)
def test_half_precision_is_computed_in_float32(dtype, tolerance):
    assert_compiles_to_the_formula(create_activation("lpflu", slope="trainable"), X.to(dtype), "aot_eager", tolerance)


def test_a_function_that_never_ran_is_one_graph():
    fresh = leaky_form(functional.pflu)
    compiled = torch.compile(fresh, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(X, 0.1), functional.lpflu(X, 0.1))


def graph_of(function, *inputs):
    """The operators that a backend gets."""
    targets = []

    def backend(graph, inputs):
        targets.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    torch.compile(function, backend=backend, fullgraph=True)(*inputs)
    return targets


def test_the_kernels_derivatives_are_used_where_one_derivative_is_enough():
    lpflu = functional.lpflu
    x = X.clone().requires_grad_()
    assert "autograd_function_apply" in graph_of(lpflu, x)
    assert "autograd_function_apply" not in graph_of(lpflu, x.double())
    assert "autograd_function_apply" not in graph_of(lambda t: torch.func.vmap(torch.func.grad(lpflu))(t), X.flatten())
    with use_mode("eager"):
        assert "autograd_function_apply" not in graph_of(lpflu, x)


def test_transforms_inside_a_compiled_function():
    def hessian(x):
        return torch.func.hessian(lambda t: functional.lpflu(t).sum())(x)

    def tangent(x):
        return torch.func.jvp(functional.lpflu, (x,), (torch.ones_like(x),))[1]

    x = torch.linspace(-3, 3, 7)
    for function in (hessian, tangent):
        compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), function(x))


def test_checkpointed_layers_compile():
    network = torch.nn.Sequential(torch.nn.Linear(5, 5), create_activation("lpflu", slope="trainable"))

    def checkpointed(x):
        return torch.utils.checkpoint.checkpoint(network, x, use_reentrant=False)

    compiled = torch.compile(checkpointed, backend="aot_eager", fullgraph=True)
    parameters = list(network.parameters())
    for a, b in zip(gradients(compiled, X, parameters), gradients(network, X, parameters), strict=True):
        torch.testing.assert_close(a, b)
