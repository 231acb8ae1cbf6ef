"""Initial weights, the same rule for every layer of a network."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from lpflu_bench.errors import UserError

Initializer = Literal["xavier_uniform", "xavier_normal", "kaiming_normal", "orthogonal", "keep"]

_FILL: dict[str, Callable[..., Any]] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    # He et al. 2015: gain sqrt(2), fan-in.
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
}


def initialize(network: nn.Module, method: Initializer = "xavier_uniform") -> None:
    """Draw every convolution's and linear layer's weight by ``method``, in place, from torch's generator; "keep" does nothing.

    Biases become 0, scales of norms 1 and their shifts 0 (also where a network would start a residual branch at 0), as
    in the paper. Everything else (an activation's parameters, layer scales, position embeddings) stays as it was built.
    Fans are torch's: those of a grouped convolution count the output channels of all groups.

    Raises:
        UserError: unknown method.
    """
    if method == "keep":
        return
    if method not in _FILL:
        raise UserError(f"unknown initializer {method!r}: choose one of {', '.join(get_args(Initializer))}")
    for module in network.modules():
        if isinstance(module, (_ConvNd, nn.Linear)):
            _FILL[method](module.weight)
        elif isinstance(module, (_NormBase, nn.LayerNorm, nn.GroupNorm)):
            if module.weight is not None:
                nn.init.ones_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
