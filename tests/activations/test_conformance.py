"""Every function goes through every check of the conformance matrix, and a module that fails one is found out."""

import functools

import pytest
import torch
from activation_reference import NAMES
from torch import nn

from lpflu_bench.activations import create_activation
from lpflu_bench.activations.conformance import CHECKS, DTYPES, FLOAT32_ONLY

COMPILED = ("fused", "onnx", "compile")  # seconds each
# Some operators have no float64 kernel in ONNX Runtime, and some of PyTorch's functions no half-precision one; the matrix in
# results/conformance says which.
IN_FLOAT32 = {*FLOAT32_ONLY, "onnx", "onnx_torchscript", "fsdp2"}


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in COMPILED])
@pytest.mark.parametrize("name", NAMES)
def test_function_passes(name, check):
    CHECKS[check](functools.partial(create_activation, name))


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in {*COMPILED, *IN_FLOAT32}])
@pytest.mark.parametrize("name", ["relu", "lpflu", "smu", "squared_relu", "leaky_gelu"])
@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
def test_function_passes_in_other_dtypes(name, check, dtype):
    CHECKS[check](functools.partial(create_activation, name), dtype)


@pytest.mark.parametrize("name", ["lpflu", "smu"])
def test_kernels_and_torch_compile_pass(name):
    CHECKS["fused"](functools.partial(create_activation, name))
    CHECKS["compile"](functools.partial(create_activation, name))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("check", [check for check in CHECKS if check not in FLOAT32_ONLY])
@pytest.mark.parametrize("name", NAMES)
def test_function_passes_in_every_dtype(name, check):
    for dtype in DTYPES if check not in IN_FLOAT32 else DTYPES[:1]:
        CHECKS[check](functools.partial(create_activation, name), dtype)


class Halved(nn.Module):
    """PFLU as published: in float16 its square overflows, and the output is half of what it should be."""

    def forward(self, x):
        return x / 2 * (1 + x / torch.sqrt(1 + x * x))


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else 0.1 * x


class Flat(nn.Module):
    def forward(self, x):
        return torch.relu(x).flatten()


class Garbage(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.full((), 0.25))

    def forward(self, x):
        return torch.where(x > 0, x, self.slope * x)


@pytest.mark.parametrize(
    ("build", "check", "dtype", "message"),
    [
        (Halved, "eager", torch.float16, "values: Greatest absolute difference"),
        (Branches, "fx", torch.float32, "control flow"),
        (Branches, "export", torch.float32, "data-dependent"),
        (Branches, "vmap", torch.float32, "data-dependent"),
        (Flat, "eager", torch.float32, r"the result\'s shape is \[1152\] for x of shape \[8, 4, 6, 6\]"),
        (Garbage, "meta", torch.float32, r"Expected 0\.25 but got 77\.0"),
        (Garbage, "fsdp2", torch.float32, "scalar"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_module_that_breaks_is_found_out(build, check, dtype, message):
    with pytest.raises(Exception, match=message):
        CHECKS[check](build, dtype)
