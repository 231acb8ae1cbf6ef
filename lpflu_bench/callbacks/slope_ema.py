"""Random slopes in training, their exponential moving average in testing."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from lpflu_bench.activations.leaky import Leaky, draw_slopes, ema_layers, update_slope_averages
from lpflu_bench.seeding import run_seed


class SlopeEMA(Callback):
    """Sets the slope of every ``Leaky(..., slope="ema")`` layer once per optimizer step and averages the draws.

    The draw is a pure function of (seed, optimizer step, layer). The micro batches of an accumulated step therefore see
    the same slope, so do all ranks and the recomputation of activation checkpointing, and a resumed run continues with
    the draws of the uninterrupted one: nothing is stored but the averages, which are buffers of the layers.

    In a plain PyTorch loop call :func:`lpflu_bench.advance_slopes` once per step instead.

    Args:
        seed: of the draws; the run's seed by default.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._averaged_steps = 0
        self._layers: list[Leaky] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start (or, after a resume, go on) counting optimizer steps from the trainer's."""
        self._averaged_steps = trainer.global_step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the layers: a search in each step would take as long as the draw."""
        self._layers = ema_layers(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Set the slopes of this optimizer step; the same ones for each of its micro batches."""
        seed = run_seed() if self.seed is None else self.seed
        draw_slopes(self._layers, seed=seed, step=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Average the slopes once the optimizer has stepped."""
        if trainer.global_step > self._averaged_steps:
            update_slope_averages(self._layers)
            self._averaged_steps = trainer.global_step
