"""What an optimizer is given: groups of parameters, and a schedule by epochs."""

import math
from collections.abc import Iterable
from typing import Any

from pytorch_lightning import Trainer
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lpflu_bench.modules.schedule import EpochSchedule

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def parameter_groups(network: nn.Module, activations: Iterable[str]) -> list[dict[str, Any]]:
    """Split off what gets no weight decay: the parameters of activations (a slope is not a weight) and of norms.

    Args:
        network: whose parameters train.
        activations: paths of the activations in it.
    """
    exempt: set[int] = set()
    for path in activations:
        exempt.update(id(p) for p in network.get_submodule(path).parameters())
    for module in network.modules():
        if isinstance(module, _NORMS):
            exempt.update(id(p) for p in module.parameters(recurse=False))
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if id(p) not in exempt]},
        {"params": [p for p in parameters if id(p) in exempt], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def by_epoch(optimizer: Optimizer, schedule: EpochSchedule, trainer: Trainer) -> LambdaLR:
    """Return the scheduler, to be stepped with the optimizer, of a schedule that counts in epochs."""
    # So that the number of batches is known. `estimated_stepping_batches` skips this when max_steps alone is given.
    trainer.fit_loop.setup_data()
    steps_per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    lengths = [trainer.max_epochs or -1, trainer.max_steps / steps_per_epoch]  # either may be unlimited, which is -1
    max_epochs = min((length for length in lengths if length > 0), default=math.inf)
    return LambdaLR(optimizer, lambda step: schedule(step / steps_per_epoch, max_epochs))
