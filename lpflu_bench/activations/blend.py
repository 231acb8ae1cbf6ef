"""A trained network's own activation functions, mixed with those that replaced them."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lpflu_bench.activations.swap.report import PlacementReport


def blend(network: nn.Module, report: PlacementReport, share: Tensor) -> list[RemovableHandle]:
    """Let every place compute (1 - share) old(x) + share new(x) until the handles are removed.

    Raise ``share`` from 0 to 1 over some optimizer steps, so that a network with trained weights adapts to its new function
    gradually.

    Args:
        network: a network after :func:`~lpflu_bench.replace_activations`.
        report: what that returned.
        share: a 0-d tensor on the network's device; change it in place.

    Returns:
        A handle for each place.

    >>> from lpflu_bench import blend, replace_activations
    >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    >>> x = torch.randn(3, 2)
    >>> original = network(x)
    >>> report = replace_activations(network, "mish")
    >>> handles = blend(network, report, share := torch.zeros(()))
    >>> torch.equal(network(x), original)
    True
    >>> _ = share.fill_(0.5)  # half ReLU, half Mish
    >>> torch.equal(network(x), original)
    False
    """
    return [
        network.get_submodule(path).register_forward_hook(partial(_mix, old.to(share.device), share))
        for path, old in report.originals.items()
    ]


def _mix(old: nn.Module, share: Tensor, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
    return torch.lerp(old(args[0]).to(output.dtype), output, share.to(output.dtype))
