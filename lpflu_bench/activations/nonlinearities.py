"""What counts as a network's main nonlinearity, and what is a gate or an output."""

from torch import nn

from lpflu_bench.activations.base import Activation

GATES: tuple[type[nn.Module], ...] = (
    nn.Sigmoid,
    nn.Hardsigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.GLU,
    nn.Softmax,
    nn.Softmax2d,
    nn.LogSoftmax,
    nn.Softmin,
)
"""Modules that weigh or bound something rather than stand between two layers; never replaced."""

_GATE_NAMES = frozenset({"Sigmoid", "HardSigmoid", "Tanh"})  # timm's own

MAIN: tuple[type[nn.Module], ...] = (
    Activation,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Softplus,
    nn.Softsign,
    nn.Tanhshrink,
    nn.Softshrink,
    nn.Hardshrink,
    nn.Threshold,
)

MAIN_NAMES = frozenset(
    {"ReLU", "LeakyReLU", "PReLU", "ELU", "GELU", "GELUTanh", "QuickGELU", "SiLU", "Swish", "MemoryEfficientSwish"}
    | {"HardSwish", "Hardswish", "Mish", "HardMish", "SquaredReLU", "StarReLU"}
)
"""Class names under which other libraries (timm, smp) keep the same functions."""

MAIN_FUNCTIONS = frozenset(
    {"relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "prelu", "rrelu", "rrelu_", "elu", "elu_", "selu", "selu_"}
    | {"celu", "celu_", "gelu", "silu", "mish", "hardswish", "hardtanh", "softplus", "softsign"}
)
"""Names of the same functions in ``torch`` and ``torch.nn.functional``, for calls written out in a ``forward``."""


def is_main_nonlinearity(module: nn.Module) -> bool:
    """Whether ``module`` is a hidden activation: torch's own, or another library's of the same name."""
    return isinstance(module, MAIN) or (type(module).__name__ in MAIN_NAMES and next(module.children(), None) is None)


def is_gate(module: nn.Module) -> bool:
    """Whether ``module`` is a gate (sigmoid, hard-sigmoid) or bounds an output (softmax, tanh)."""
    return isinstance(module, GATES) or type(module).__name__ in _GATE_NAMES
