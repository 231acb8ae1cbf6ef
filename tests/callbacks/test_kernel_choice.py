"""A run chooses once between kernels and formulas for small tensors, and its checkpoint keeps the choice."""

import pytest
from pytorch_lightning import Callback
from tiny import TinyData, TinyModule, quiet_trainer

from lpflu_bench.activations import fused
from lpflu_bench.callbacks import kernel_choice
from lpflu_bench.callbacks.kernel_choice import KernelChoice


class Watch(Callback):
    """Notes what is decided while a stage runs."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, *arguments):
        self.seen.append(fused._small_kernels)

    def on_test_batch_end(self, *arguments):
        self.seen.append(fused._small_kernels)


def fit(tmp_path, calls, monkeypatch, epochs=1, **resume):
    monkeypatch.setattr(kernel_choice, "SMALL_CALLS", calls)
    watch = Watch()
    trainer = quiet_trainer(tmp_path, callbacks=[KernelChoice(), watch], max_epochs=epochs)
    trainer.fit(TinyModule(activation="lpflu"), TinyData(), **resume)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    return watch.seen


@pytest.mark.parametrize(("calls", "decision"), [(4, True), (10_000, False)])
def test_a_run_decides_by_its_length_and_leaves_the_process_as_it_was(tmp_path, monkeypatch, calls, decision):
    assert fit(tmp_path, calls, monkeypatch) == [decision] * 4
    assert fused._small_kernels is None


@pytest.mark.parametrize("decision", [True, False])
def test_a_resumed_run_and_a_later_test_go_by_the_first_choice(tmp_path, monkeypatch, decision):
    calls = 4 if decision else 10_000
    fit(tmp_path, calls, monkeypatch)
    checkpoint = {"ckpt_path": tmp_path / "last.ckpt", "weights_only": True}
    other = 10_000 if decision else 4  # would now be decided otherwise
    assert fit(tmp_path, other, monkeypatch, epochs=2, **checkpoint) == [decision] * 4
    watch = Watch()
    trainer = quiet_trainer(tmp_path, callbacks=[KernelChoice(), watch])
    trainer.test(TinyModule(activation="lpflu"), TinyData(), **checkpoint)
    assert watch.seen
    assert set(watch.seen) == {decision}
