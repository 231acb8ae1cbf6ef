"""What traces a module: ``torch.func``, ``torch.fx``, ``torch.compile``."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lpflu_bench.activations.conformance.common import (
    Build,
    check,
    compare,
    module_of,
    parameters_of,
    results_of,
    sample_inputs,
)


@check
def vmap(build: Build, dtype: torch.dtype) -> None:
    """``torch.func``: vmap of grad equals autograd, and so does forward-mode differentiation."""
    module = module_of(build, dtype)
    x = sample_inputs(dtype).flatten()
    _, expected = results_of(module, x, [])
    ones = torch.linspace(-1, 1, x.numel()).to(dtype)
    batched = torch.func.vmap(torch.func.grad(lambda t: module(t)))(x) * ones
    forward = torch.func.jvp(module, (x,), (ones,))[1]
    compare([module(x), batched], [module(x), expected], dtype)
    compare([module(x), forward], [module(x), expected], dtype)


@check
def fx(build: Build, dtype: torch.dtype) -> None:
    """``torch.fx.symbolic_trace`` of a network, as feature extraction and quantization do."""
    network = nn.Sequential(nn.Linear(6, 6), build()).to(dtype).eval()
    traced = torch.fx.symbolic_trace(network)
    x = sample_inputs(dtype)
    torch.testing.assert_close(traced(x), network(x), rtol=0, atol=0, equal_nan=True)


class _SideBySide(nn.Module):
    """Modules that each have an input of their own."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        return [module(x) for module, x in zip(self.each, inputs, strict=True)]


def _results_of_each(module: _SideBySide, run: Callable[..., list[Tensor]], dtype: torch.dtype) -> list[list[Tensor]]:
    inputs = [sample_inputs(dtype).requires_grad_() for _ in module.each]
    values = run(*inputs)
    wanted = [[x, *parameters_of(each)] for x, each in zip(inputs, module.each, strict=True)]
    every = [tensor for each in wanted for tensor in each]
    weights = [torch.linspace(-1, 1, y.numel()).view(y.shape).to(y.dtype) for y in values]
    found = iter(torch.autograd.grad(values, every, weights, materialize_grads=True))
    return [[y, *(next(found) for _ in each)] for y, each in zip(values, wanted, strict=True)]


def compile_together(builds: Sequence[Build], dtype: torch.dtype = torch.float32) -> list[Exception | None]:
    """The check ``compile`` of several modules in one graph, in a fraction of the time; what went wrong with each."""
    torch.compiler.reset()
    module = _SideBySide([module_of(build, dtype) for build in builds])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _results_of_each(module, torch.compile(module, fullgraph=True), dtype)
    except Exception as error:  # which of them is to blame?
        return [error] if len(builds) == 1 else [compile_together([build], dtype)[0] for build in builds]
    failures: list[Exception | None] = []
    for a, b in zip(found, _results_of_each(module, module, dtype), strict=True):
        try:
            compare(a, b, dtype)
            failures.append(None)
        except AssertionError as error:
            failures.append(error)
    return failures


@check
def compile(build: Build, dtype: torch.dtype) -> None:
    """``torch.compile`` in one graph, before any call in eager mode: values and gradients."""
    (failure,) = compile_together([build], dtype)
    if failure is not None:
        raise failure
