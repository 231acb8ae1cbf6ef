"""Reseeds torch's generators before every training step."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lpflu_bench.seeding import derive_seed, run_seed


class StepSeed(Callback):
    """Makes what a network draws in a step (dropout, stochastic depth) a function of seed, step and rank alone.

    So there is no generator's state to restore: a run resumed from a checkpoint draws what the uninterrupted one
    would have drawn. And every activation function is trained with the same masks under the same seed, even one that
    draws random numbers itself.
    """

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed the generators of the CPU and of every GPU."""
        torch.manual_seed(derive_seed(run_seed(), "step", trainer.global_step, batch_idx, trainer.global_rank))
