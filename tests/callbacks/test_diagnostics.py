import pandas as pd
import pytest
import torch
from pytorch_lightning import Callback, seed_everything
from pytorch_lightning.loggers import CSVLogger
from tiny import TinyData, TinyModule, quiet_trainer

from lpflu_bench.callbacks import SlopeEMA
from lpflu_bench.callbacks.checkpoint import last_checkpoint
from lpflu_bench.callbacks.diagnostics import QUANTITIES, Diagnostics
from lpflu_bench.callbacks.step_seed import StepSeed
from lpflu_bench.errors import UserError


def fit(folder, diagnostics, activation="relu", *more, module=None, ckpt_path=None, **settings):
    seed_everything(0)
    module = module or TinyModule(activation=activation)
    trainer = quiet_trainer(
        folder,
        logger=CSVLogger(folder, name="", version="fit"),
        enable_checkpointing=True,
        callbacks=[StepSeed(), SlopeEMA(), diagnostics, *more, last_checkpoint(folder / "checkpoints")],
        **{"max_epochs": 1, **settings},
    )
    trainer.fit(module, TinyData(), ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    return module


class Witness(Callback):
    """Keeps what the first activation got and the gradients at its output, in every training step."""

    def __init__(self):
        self.inputs, self.gradients = [], []

    def on_train_start(self, trainer, pl_module):
        layer = pl_module.network.get_submodule(pl_module.placement.placements[0].path)
        layer.register_forward_pre_hook(lambda module, args: self.see(module, args[0]))
        layer.register_forward_hook(lambda module, args, out: self.watch(module, out))

    def see(self, module, x):
        if module.training:
            self.inputs.append(x.detach().clone())

    def watch(self, module, out):
        if module.training:
            out.register_hook(lambda gradient: self.gradients.append(gradient.detach().clone()))


def test_the_numbers_are_those_of_the_layer(tmp_path):
    witness, diagnostics = Witness(), Diagnostics(every=1)
    module = fit(tmp_path, diagnostics, "relu", witness)
    table = pd.read_csv(tmp_path / "fit" / "diagnostics.csv")
    assert list(table["layer"]) == [place.path for place in module.placement.placements]
    assert list(table.columns) == ["epoch", "layer", *QUANTITIES]
    row, x = table.iloc[0], torch.cat(witness.inputs)
    assert len(witness.inputs) == 4
    assert row["mean_slope"] == pytest.approx(float((x > 0).float().mean()))
    assert row["saturation"] == pytest.approx(float((x <= 0).float().mean()))
    assert row["dead_units"] == pytest.approx(float(((x > 0).sum((0, 2, 3)) == 0).float().mean()))
    assert row["gradient_norm"] == pytest.approx(sum(float(g.norm()) for g in witness.gradients) / 4, rel=1e-5)
    assert diagnostics.summary == pytest.approx({name: table[name].mean() for name in QUANTITIES})


@pytest.mark.parametrize(("activation", "dead"), [("relu", 1 / 16), ("lpflu", 0.0)])
def test_a_channel_that_never_fires_is_dead(activation, dead, tmp_path):
    module = TinyModule(activation=activation)
    with torch.no_grad():
        module.network.bn1.bias.fill_(1.0)
        module.network.bn1.bias[3] = -20.0
    fit(tmp_path, Diagnostics(every=2), module=module)
    assert pd.read_csv(tmp_path / "fit" / "diagnostics.csv")["dead_units"][0] == pytest.approx(dead)


@pytest.mark.parametrize("activation", ["lpflu", "rrelu"])
def test_training_is_not_touched(activation, tmp_path):
    plain = fit(tmp_path / "a", Diagnostics(), activation)
    watched = fit(tmp_path / "b", Diagnostics(every=1), activation)
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, watched.state_dict()[name]), name
    assert not (tmp_path / "a" / "fit" / "diagnostics.csv").exists()
    for place in watched.placement.placements:
        layer = watched.network.get_submodule(place.path)
        assert not layer._forward_hooks
        assert not layer._forward_pre_hooks


def test_a_resumed_run_keeps_its_rows(tmp_path):
    fit(tmp_path, Diagnostics(every=2))
    fit(tmp_path, Diagnostics(every=2), max_epochs=2, ckpt_path=tmp_path / "checkpoints" / "last.ckpt")
    table = pd.read_csv(tmp_path / "fit" / "diagnostics.csv")
    assert sorted(table["epoch"].unique()) == [1, 2]


def test_what_it_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"diagnostics\.every must be at least 1"):
        Diagnostics(every=0)
    with pytest.raises(UserError, match=r"pass --model\.compile false"):
        fit(tmp_path, Diagnostics(every=1), module=TinyModule(compile=True))
