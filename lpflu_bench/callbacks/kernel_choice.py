"""Which form activations of small tensors have in a run: compiled kernels, or the composed formula."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from lpflu_bench.activations.fused import SMALL_CALLS, set_small_kernels
from lpflu_bench.modules.base import BenchModule


class KernelChoice(Callback):
    """Chooses once for a run, from its length, and keeps the choice in the checkpoint.

    The two forms differ in the last digits. Left to the count of calls in the process, a resumed run would begin to use
    kernels at another step than the uninterrupted one.
    """

    def __init__(self) -> None:
        self._decision: bool | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide, unless the checkpoint has."""
        assert isinstance(pl_module, BenchModule)
        if self._decision is None:
            calls = trainer.estimated_stepping_batches * len(pl_module.placement.placements)
            self._decision = calls >= SMALL_CALLS
        set_small_kernels(self._decision)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go by the training's choice."""
        set_small_kernels(self._decision)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go by the training's choice."""
        set_small_kernels(self._decision)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go by the training's choice."""
        set_small_kernels(self._decision)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the process as it was."""
        set_small_kernels(None)

    def state_dict(self) -> dict[str, Any]:
        """The choice."""
        return {"decision": self._decision}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the choice of the run that is resumed or evaluated."""
        self._decision = state_dict["decision"]
