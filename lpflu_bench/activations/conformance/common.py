"""What the checks share: inputs, and how results are compared."""

import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

Build = Callable[[], nn.Module]
Check = Callable[[Build, torch.dtype], None]

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

FLOAT32_ONLY = {"autocast", "quantize", "meta"}
"""Checks that choose their dtypes themselves."""

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}
DYNAMIC_BATCH = ({0: torch.export.Dim("batch", min=1, max=1 << 16)},)


def check(function: Callable[..., None]) -> Callable[..., None]:
    """Return a check in float32 by default, without PyTorch's warnings of what it deprecates and of its own exporter."""

    @functools.wraps(function)
    def run(build: Build, dtype: torch.dtype = torch.float32) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(build, dtype)

    return run


def module_of(build: Build, dtype: torch.dtype) -> nn.Module:
    """Return what is checked, in evaluation mode."""
    return build().to(dtype).eval()


def sample_inputs(dtype: torch.dtype, batch: int = 8) -> Tensor:
    """[batch, 4, 6, 6]: numbers around 0, and a few far away."""
    x = torch.linspace(-20, 20, batch * 144)
    x[:: batch * 36] = torch.tensor([-1e4, -300.0, 300.0, 1e4])
    return x.view(batch, 4, 6, 6).to(dtype)


def results_of(module: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """Return the values, the input's gradient, and each parameter's."""
    x = x.detach().clone().requires_grad_()
    y = module(x)
    if y.shape != x.shape:
        raise AssertionError(f"the result's shape is {list(y.shape)} for x of shape {list(x.shape)}")
    if y.dtype is not x.dtype:
        raise AssertionError(f"the result's dtype is {y.dtype} for x of {x.dtype}")
    weights = torch.linspace(-1, 1, y.numel()).view(y.shape).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, *parameters], weights, materialize_grads=True)]


def parameters_of(module: nn.Module) -> list[Tensor]:
    """Return a module's trained parameters."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def compare(found: list[Tensor], expected: list[Tensor], dtype: torch.dtype) -> None:
    """Compare results; a parameter's gradient is a sum over the input, of terms that may cancel."""
    y = expected[0]
    tolerance = TOLERANCE[dtype]
    for what, a, b in zip(
        ("values", "gradient of x", *["gradient of a parameter"] * len(expected)), found, expected, strict=False
    ):
        scale = 1.0 if b.shape == y.shape else y.numel() + b.abs().max().item()
        try:
            torch.testing.assert_close(a.to(b.dtype), b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
        except AssertionError as error:
            greatest = next(
                (line for line in str(error).splitlines() if line.startswith("Greatest absolute")), str(error)
            )
            raise AssertionError(f"{what}: {greatest}") from error


def compare_values(found: Tensor, expected: Tensor, x: Tensor, dtype: torch.dtype) -> None:
    """Compare values in units of 1 + |x|: an exported graph may take a shorter form of the formula."""
    unit = 1 + x.double().abs()
    compare([found / unit], [expected / unit], dtype)
