"""Stop a run whose loss is no longer finite."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from lpflu_bench.errors import NOT_FINITE


class LossNotFiniteError(RuntimeError):
    """The training loss became NaN or infinite.

    Args:
        epoch: of the first bad step, counted from 0.
        step: optimizer steps done before it.
    """

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(
            f"{NOT_FINITE} at epoch {epoch}, step {step}; the run is recorded as failed "
            "(a lower --model.optimizer.lr, a longer warm-up or 32-bit precision usually help)"
        )
        self.epoch, self.step = epoch, step


class FiniteLoss(Callback):
    """Raises :class:`LossNotFiniteError` with the first step whose loss was not finite.

    The flag stays on the device and is read every ``_EVERY`` steps and at the end of the epoch, before a checkpoint is
    written, so that the check costs no synchronisation of its own.
    """

    _EVERY = 50

    def __init__(self) -> None:
        self._first_bad: Tensor | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the flag."""
        self._first_bad = torch.full((), torch.inf, device=pl_module.device, dtype=torch.float64)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the first bad step."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is None or self._first_bad is None:
            return
        bad = torch.where(loss.detach().isfinite(), torch.inf, float(trainer.global_step))
        self._first_bad = torch.minimum(self._first_bad, bad)
        if (batch_idx + 1) % self._EVERY == 0:
            self._raise_if_bad(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look before the epoch's checkpoint is written."""
        self._raise_if_bad(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look before the epoch's scores are computed from broken weights."""
        if not trainer.sanity_checking:
            self._raise_if_bad(trainer)

    def _raise_if_bad(self, trainer: Trainer) -> None:
        if self._first_bad is not None and (step := self._first_bad.item()) != torch.inf:
            raise LossNotFiniteError(trainer.current_epoch, max(int(step) - 1, 0))
