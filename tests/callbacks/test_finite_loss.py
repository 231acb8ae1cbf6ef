import json

import pytest
import torch
from tiny import TinyData, TinyModule, quiet_trainer

from lpflu_bench.callbacks import FiniteLoss, RunRecord
from lpflu_bench.callbacks.checkpoint import last_checkpoint
from lpflu_bench.callbacks.finite_loss import LossNotFiniteError


class Breaks(TinyModule):
    """Its loss is NaN from optimizer step 5 on: the second step of the second epoch."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if self.trainer.global_step >= 5 else loss


def test_names_epoch_and_step_and_records_the_failure(tmp_path):
    trainer = quiet_trainer(
        tmp_path,
        max_epochs=3,
        enable_checkpointing=True,
        callbacks=[FiniteLoss(), RunRecord(tmp_path), last_checkpoint(tmp_path / "checkpoints")],
    )
    with pytest.raises(LossNotFiniteError, match="epoch 1, step 5"):
        trainer.fit(Breaks(), TinyData())
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["status"] == "failed"
    assert record["failed_at"] == {"epoch": 1, "step": 5}
    assert "metrics" not in record
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 0  # the broken epoch has left no checkpoint


def test_a_finite_run_is_not_disturbed(tmp_path):
    trainer = quiet_trainer(tmp_path, max_epochs=2, num_sanity_val_steps=2, callbacks=[FiniteLoss()])
    trainer.fit(TinyModule(), TinyData())
    assert trainer.global_step == 8
