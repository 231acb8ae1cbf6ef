"""What a module does by itself: eager, in this package's kernels, on odd tensors, on the meta device, under autocast."""

import copy

import torch
from torch import nn

from lpflu_bench.activations.conformance.common import (
    Build,
    check,
    compare,
    module_of,
    parameters_of,
    results_of,
    sample_inputs,
)
from lpflu_bench.activations.fused import MINIMUM_ELEMENTS, use_mode


@check
def eager(build: Build, dtype: torch.dtype) -> None:
    """The formula, operation by operation: finite, and float64's values and gradients rounded."""
    module = module_of(build, dtype)
    x = sample_inputs(dtype)
    with use_mode("eager"):
        found = results_of(module, x, [])
        expected = results_of(copy.deepcopy(module).double(), x.double(), [])
    compare(found, [each.to(dtype) for each in expected], dtype)
    overflows = expected[0].abs() > torch.finfo(dtype).max
    for what, each in zip(("a value", "a gradient"), found, strict=True):
        bad = ~each.isfinite() & ~overflows
        if bad.any():
            raise AssertionError(f"{what} at x = {x[bad][0].item():g} is {each[bad][0].item()}")


@check
def fused(build: Build, dtype: torch.dtype) -> None:
    """The compiled kernels of this package, where it has one for the function and dtype."""
    module = module_of(build, dtype)
    x = sample_inputs(dtype, batch=-(-MINIMUM_ELEMENTS // 144))
    results = []
    for mode in ("fused", "eager"):
        with use_mode(mode):
            results.append(results_of(module, x, parameters_of(module)))
    compare(results[0], results[1], dtype)


@check
def empty(build: Build, dtype: torch.dtype) -> None:
    """Tensors without elements and without dimensions."""
    module = module_of(build, dtype)
    for shape in ((), (0,), (2, 0, 4)):
        results_of(module, torch.ones(shape, dtype=dtype), [])


@check
def meta(build: Build, dtype: torch.dtype) -> None:
    """Built on the meta device, ``to_empty``, and ``reset_parameters`` of each module restores the initial state."""
    del dtype
    with torch.device("meta"):
        module = build()
    module.to_empty(device="cpu")
    for tensor in module.state_dict().values():
        tensor.fill_(77)
    for submodule in module.modules():
        reset = getattr(submodule, "reset_parameters", None)
        if submodule.state_dict() and callable(reset):
            reset()
    torch.testing.assert_close(dict(module.state_dict()), dict(build().state_dict()), rtol=0, atol=0)


@check
def autocast(build: Build, dtype: torch.dtype) -> None:
    """Between layers under autocast to bfloat16: as in float32, within bfloat16's digits."""
    del dtype
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 6), build()).eval()
    x = sample_inputs(torch.float32).clamp(-20, 20)
    with torch.autocast("cpu", torch.bfloat16):
        y = network(x)
    y.float().sum().backward()
    if not all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in network.get_submodule("0").parameters()
    ):
        raise AssertionError("the gradient of the layer before is not finite")
    torch.testing.assert_close(y.float(), network(x), rtol=0.05, atol=0.1)
