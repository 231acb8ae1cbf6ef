"""The last epoch's checkpoint, replaced in one step."""

import os
from pathlib import Path
from typing import Any

from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from lpflu_bench.files import replaced_atomically

LAST = "last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, then renames: a run killed while it saves still has its previous checkpoint."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Save ``checkpoint`` to ``path``."""
        with replaced_atomically(Path(path)) as temporary:
            super().save_checkpoint(checkpoint, temporary, storage_options)


def last_checkpoint(folder: Path) -> ModelCheckpoint:
    """Return the callback that keeps ``folder/last.ckpt``, written at the end of every epoch after its validation.

    The last epoch's weights are the ones that are scored, by rule: nothing is selected on the test set.
    """
    return ModelCheckpoint(
        dirpath=folder, filename=Path(LAST).stem, save_on_train_epoch_end=True, enable_version_counter=False
    )
