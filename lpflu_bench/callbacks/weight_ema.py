"""An exponential moving average of the weights, scored beside the raw ones."""

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class _Decay:
    """``average <- decay * average + (1 - decay) * weight``; a class, because a closure cannot be pickled for spawn."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    @torch.no_grad()
    def __call__(self, averages: Any, weights: Any, num_averaged: Tensor | int) -> None:
        for average, weight in zip(averages, weights, strict=True):
            if average.is_floating_point():
                average.lerp_(weight.to(average.device), 1.0 - self.decay)
            else:
                average.copy_(weight)


class WeightEMA(WeightAveraging):
    """Lightning's weight averaging with an exponential average, three of its traps closed (as of 2.6.6).

    Parameters are averaged, buffers are copied: batch-norm statistics and the slope averages of ``SlopeEMA`` are those
    of the live network. A checkpoint holds both: ``state_dict`` the averaged weights, ``current_model_state`` the raw ones.

    - Before the first update the live weights are validated and saved, not the untrained copy.
    - Loading a checkpoint to test or predict leaves the averaged weights in place; only ``fit`` takes the raw ones back.
    - It can be pickled.

    Args:
        decay: weight of the old average in a step, in [0, 1); null turns the callback off.
        start_step: the first optimizer step that is averaged.

    Raises:
        ValueError: ``decay`` is outside [0, 1).
    """

    def __init__(self, decay: float | None = None, start_step: int = 0) -> None:
        if decay is not None and not 0.0 <= decay < 1.0:
            raise ValueError(f"weight_ema.decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.start_step = start_step
        super().__init__(use_buffers=False, multi_avg_fn=_Decay(decay or 0.0))

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Average after every optimizer step from ``start_step`` on."""
        return step_idx is not None and step_idx >= self.start_step

    @property
    def _started(self) -> bool:
        return self._average_model is not None and int(self._average_model.n_averaged) > 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the average, once there is one."""
        if self._started and trainer.state.fn == "fit":
            self._swap_models(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the live weights back."""
        if self._started and trainer.state.fn == "fit":
            self._swap_models(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the module, if there is one."""
        if self._started:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the average beside the live weights, once there is one."""
        if self._started:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take live weights and average back, in ``fit`` alone."""
        if trainer.state.fn == "fit" and "current_model_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
