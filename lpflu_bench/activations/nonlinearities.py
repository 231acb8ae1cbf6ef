"""What counts as a network's main nonlinearity, and what as a gate: torch's own, and those that a user registers."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from lpflu_bench.activations.base import Activation

Kind = Literal["main", "gate"]

_MODULES: dict[type[nn.Module], Kind] = {
    **dict.fromkeys((nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, nn.Tanh, nn.GLU), "gate"),
    **dict.fromkeys((Activation, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU), "main"),
    **dict.fromkeys((nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Softsign), "main"),
    **dict.fromkeys((nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, nn.Threshold), "main"),
}
_MAIN = "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardtanh softplus softsign threshold"
_GATES = "sigmoid hardsigmoid logsigmoid tanh"


def _functions(names: str, kind: Kind) -> dict[Callable[..., Any], Kind]:
    spellings = (
        getattr(where, name + end, None) for name in names.split() for end in ("", "_") for where in _NAMESPACES
    )
    return {function: kind for function in spellings if function is not None}


_NAMESPACES = (torch, F, torch.Tensor)
_FUNCTIONS: dict[Callable[..., Any], Kind] = {**_functions(_GATES, "gate"), **_functions(_MAIN, "main")}

_T = TypeVar("_T", bound=type[nn.Module])


def register_nonlinearity(module_class: _T, kind: Kind = "main") -> _T:
    """Make :func:`~lpflu_bench.replace_activations` treat a module class, and what derives from it, as a nonlinearity.

    Needed only for a class that the swap doesn't recognise by what it computes (one with weights, say).

    Args:
        module_class: A class whose ``forward`` takes one tensor; may be used as a decorator.
        kind: ``"main"`` (to be replaced) or ``"gate"`` (to be kept).

    Raises:
        TypeError: Not an ``nn.Module`` class.

    >>> from lpflu_bench import register_nonlinearity, replace_activations
    >>> @register_nonlinearity
    ... class Maxout(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.other = nn.Linear(3, 3)
    ...
    ...     def forward(self, x):
    ...         return torch.maximum(x, self.other(x))
    >>> network = nn.Sequential(nn.Linear(3, 3), Maxout(), nn.Linear(3, 3))
    >>> [(place.path, place.old) for place in replace_activations(network, "lpflu").placements]
    [('1', 'Maxout')]
    """
    if not (isinstance(module_class, type) and issubclass(module_class, nn.Module)):
        raise TypeError(f"register_nonlinearity takes an nn.Module class, got {module_class!r}")
    _MODULES[module_class] = kind
    return module_class


def module_kind(module: nn.Module) -> Kind | None:
    """Return what ``module`` is by its class, or by the nearest class it derives from."""
    return next((_MODULES[base] for base in type(module).__mro__ if base in _MODULES), None)


def function_kind(function: Callable[..., Any]) -> Kind | None:
    """Return what a function or a tensor method of torch is."""
    return _FUNCTIONS.get(function)


def is_main_nonlinearity(module: nn.Module) -> bool:
    """Whether ``module`` is a hidden activation by its class."""
    return module_kind(module) == "main"


@torch.no_grad()
def kind_by_behaviour(function: Callable[[torch.Tensor], torch.Tensor]) -> Kind | None:
    """Return what an elementwise function is by its values: one that rises to the right alone is a rectifier.

    Bounded ones (sigmoid, hard-sigmoid, tanh) are gates; anything else (a square, an absolute value) is unknown: None.
    """
    try:
        left, right = (function(torch.full((1, 1, 1, 1), x)).item() for x in (-30.0, 30.0))
    except (RuntimeError, TypeError, IndexError, ValueError):
        return None
    if abs(left) <= 1.5 and abs(right) <= 1.5:
        return "gate"
    return "main" if right > 2 and abs(left) < right / 2 else None
