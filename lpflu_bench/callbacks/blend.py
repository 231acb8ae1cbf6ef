"""From a trained network's own activation functions to the new one, little by little."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.hooks import RemovableHandle

from lpflu_bench.activations.blend import blend
from lpflu_bench.errors import UserError
from lpflu_bench.modules.base import BenchModule


class Blend(Callback):
    """In the first optimizer steps, each place computes a mixture of the function that was there and the new one.

    Step t of N gives (1 - t/N) old(x) + t/N new(x), so that a network with trained weights (``model.init_from``) is not
    thrown off at once; from step N on the new function is alone. Validation within these steps sees the mixture too. The
    network itself is not changed: a checkpoint has the new function alone.

    Args:
        steps: N, optimizer steps; null turns the callback off.

    Raises:
        ValueError: ``steps`` is below 1.
        UserError: the network is compiled or captured.
    """

    def __init__(self, steps: int | None = None) -> None:
        if steps is not None and steps < 1:
            raise ValueError(f"blend.steps must be at least 1, or null for off; got {steps}")
        self.steps = steps
        self._share = torch.zeros(())
        self._handles: list[RemovableHandle] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, unless a resumed run is past it already."""
        assert isinstance(pl_module, BenchModule)
        if self.steps is None or trainer.global_step >= self.steps:
            return
        if pl_module.unhookable:
            raise UserError(
                "blend.steps: a compiled or captured network can't be blended; "
                "pass --model.compile false --model.cuda_graph false"
            )
        self._share = torch.zeros((), device=pl_module.device)
        self._handles = blend(pl_module.network, pl_module.placement, self._share)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Set this step's share."""
        if not self._handles or self.steps is None:
            return
        self._share.fill_(min(1.0, trainer.global_step / self.steps))
        if trainer.global_step >= self.steps:
            self._end()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the new function alone."""
        self._end()

    def _end(self) -> None:
        while self._handles:
            self._handles.pop().remove()
