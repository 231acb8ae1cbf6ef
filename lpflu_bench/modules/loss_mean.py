"""The mean of a loss over an epoch and over all ranks."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class LossMean(Metric):
    """The mean of batches' losses, each weighted with what it is a mean over; NaN once a loss was.

    torchmetrics' ``MeanMetric`` waits for a GPU to look for NaN, and forgets the weights where told not to (1.9.0).
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("total", "weight"):
            self.add_state(name, default=torch.zeros(()), dist_reduce_fx="sum")

    def update(self, loss: Tensor, weight: int) -> None:
        """Add a batch's loss, a scalar, that is the mean over ``weight`` images or pixels."""
        # In float32 also where the trainer's precision has made the states half ones, which could not count.
        self.total = self.total.float() + loss.float() * weight
        self.weight = self.weight.float() + weight

    def compute(self) -> Tensor:
        """Return the weighted mean."""
        return self.total / self.weight
