import pytest
import torch

from lpflu_bench.callbacks.checkpoint import AtomicCheckpointIO


def test_a_save_that_is_killed_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def half(self, checkpoint, target, storage_options=None):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("lightning_fabric.plugins.TorchCheckpointIO.save_checkpoint", half)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
