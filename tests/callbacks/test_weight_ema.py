import pickle

import pytest
import torch
from pytorch_lightning import Callback, seed_everything
from tiny import TinyData, TinyModule, averages, quiet_trainer

from lpflu_bench.callbacks import SlopeEMA
from lpflu_bench.callbacks.checkpoint import last_checkpoint
from lpflu_bench.callbacks.weight_ema import WeightEMA


def make(tmp_path, ema, *more, **settings):
    return quiet_trainer(
        tmp_path,
        enable_checkpointing=True,
        callbacks=[SlopeEMA(), ema, *more, last_checkpoint(tmp_path / "checkpoints")],
        **{"max_epochs": 2, **settings},
    )


class Weights(Callback):
    """Notes the first convolution after each step, and what is validated."""

    def __init__(self):
        self.live, self.validated = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.live.append(pl_module.network.conv1.weight.detach().clone())

    def on_validation_batch_start(self, trainer, pl_module, *_):
        self.validated.append(pl_module.network.conv1.weight.detach().clone())


def fit(tmp_path, ema, **settings):
    seed_everything(0)
    watch, module = Weights(), TinyModule(activation="lpflu")
    trainer = make(tmp_path, ema, watch, **settings)
    trainer.fit(module, TinyData())
    return trainer, module, watch


def test_parameters_are_averaged_and_buffers_copied(tmp_path):
    _, _, watch = fit(tmp_path, WeightEMA(decay=0.9))
    average = watch.live[0].clone()  # the first update copies
    for weight in watch.live[1:]:
        average.lerp_(weight, 0.1)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert torch.allclose(saved["state_dict"]["network.conv1.weight"], average, atol=1e-6)
    assert torch.equal(saved["current_model_state"]["network.conv1.weight"], watch.live[-1])
    for name, value in saved["current_model_state"].items():
        if "running_" in name or "slope" in name or "num_batches" in name:
            assert torch.equal(value, saved["state_dict"][name]), name
    assert torch.equal(watch.validated[-1], saved["state_dict"]["network.conv1.weight"])


def test_slope_averages_are_those_of_a_run_without_it(tmp_path):
    _, module, _ = fit(tmp_path, WeightEMA(decay=0.9))
    seed_everything(0)
    plain = TinyModule(activation="lpflu")
    quiet_trainer(tmp_path, max_epochs=2, callbacks=[SlopeEMA()]).fit(plain, TinyData())
    assert torch.equal(averages(module), averages(plain))


def test_a_delayed_start_validates_the_live_weights(tmp_path):
    _, _, watch = fit(tmp_path, WeightEMA(decay=0.9, start_step=6))
    assert torch.equal(watch.validated[0], watch.live[3])  # after epoch 1 there is no average yet
    assert not torch.equal(watch.validated[-1], watch.live[-1])


def test_fit_then_test_equals_a_fresh_process(tmp_path):
    trainer, module, _ = fit(tmp_path, WeightEMA(decay=0.9))
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    trainer.test(module, TinyData(), ckpt_path=checkpoint, weights_only=True, verbose=False)
    tested = module.network.conv1.weight.detach().clone()
    fresh = TinyModule(activation="lpflu")
    make(tmp_path, WeightEMA(decay=0.9)).test(fresh, TinyData(), ckpt_path=checkpoint, weights_only=True, verbose=False)
    assert torch.equal(tested, fresh.network.conv1.weight)
    assert torch.equal(tested, torch.load(checkpoint, weights_only=True)["state_dict"]["network.conv1.weight"])


def test_resume_equals_the_uninterrupted_run(tmp_path):
    fit(tmp_path / "whole", WeightEMA(decay=0.9), max_epochs=3)
    fit(tmp_path / "cut", WeightEMA(decay=0.9), max_epochs=1)
    seed_everything(0)
    module = TinyModule(activation="lpflu")
    make(tmp_path / "on", WeightEMA(decay=0.9), max_epochs=3).fit(
        module, TinyData(), ckpt_path=tmp_path / "cut" / "checkpoints" / "last.ckpt", weights_only=True
    )
    whole, resumed = (
        torch.load(tmp_path / n / "checkpoints" / "last.ckpt", weights_only=True) for n in ("whole", "on")
    )
    for part in ("state_dict", "current_model_state"):
        for name, value in whole[part].items():
            assert torch.equal(value, resumed[part][name]), (part, name)


def test_it_can_be_pickled():
    again = pickle.loads(pickle.dumps(WeightEMA(decay=0.9)))
    assert again.decay == 0.9


def test_a_decay_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"weight_ema\.decay must be in"):
        WeightEMA(decay=1.0)
