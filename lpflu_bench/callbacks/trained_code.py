"""Which code trained a network."""

import torch

from lpflu_bench import environment
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.records import Code


def trained_code(module: BenchModule) -> Code:
    """Return which code a network is trained by: this package's, and the file of an activation of the user's own."""
    return {
        "package": environment.IMPORTED,
        "commit": environment.imported_commit(),
        "activation": _activation_source(module.network.get_submodule(module.placement.placements[0].path))
        if module.placement.placements
        else None,
    }


def _activation_source(activation: torch.nn.Module) -> str | None:
    """Return a hash of the files in which an activation function of the user's own is written."""
    functions = [getattr(part, "function", None) or type(part) for part in activation.modules()]
    names = {function.__module__ for function in functions}
    own = sorted(name for name in names if name.partition(".")[0] not in ("torch", "torchvision", "lpflu_bench"))
    return "-".join(hashes) if (hashes := [h for name in own if (h := environment.module_hash(name))]) else None
