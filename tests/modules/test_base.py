import pytest
import torch
from pytorch_lightning import Trainer
from tiny import TinyData, TinyModule
from torch import nn

from lpflu_bench.activations import list_activations
from lpflu_bench.errors import UserError
from lpflu_bench.modules import WarmupDecayHold


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of convolutions, norms and linear layers: what every function's network has."""
    return {
        f"{name}.{key}": value
        for name, part in module.network.named_modules()
        if isinstance(part, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
        for key, value in part.state_dict().items()
    }


def test_every_function_starts_from_the_same_weights():
    reference = weights(TinyModule(activation="relu"))
    for name in list_activations():
        torch.manual_seed(hash(name) % 1000)  # whatever was drawn before does not matter
        ours = weights(TinyModule(activation=name))
        assert ours.keys() == reference.keys()
        assert all(torch.equal(ours[key], reference[key]) for key in reference), name


def test_another_seed_gives_other_weights(monkeypatch):
    first = weights(TinyModule())
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert not torch.equal(first["conv1.weight"], weights(TinyModule())["conv1.weight"])


def test_building_a_network_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    TinyModule(activation="lpflu")
    assert torch.equal(torch.get_rng_state(), before)


def test_activations_and_norms_get_no_weight_decay():
    module = TinyModule(activation="prelu", optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1, weight_decay=0.5))
    decayed, exempt = module.configure_optimizers().param_groups
    assert (decayed["weight_decay"], exempt["weight_decay"]) == (0.5, 0.0)
    owner = {id(p): part for part in module.network.modules() for p in part.parameters(recurse=False)}
    assert {type(owner[id(p)]).__name__ for p in exempt["params"]} == {"BatchNorm2d", "PReLU"}
    assert {type(owner[id(p)]) for p in decayed["params"]} == {nn.Conv2d, nn.Linear}
    assert len(decayed["params"]) + len(exempt["params"]) == len(list(module.network.parameters()))


def test_schedule_counts_optimizer_steps_not_batches(tmp_path):
    from pytorch_lightning import Callback, Trainer

    class Rates(Callback):
        def __init__(self):
            self.seen = []

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.seen.append(optimizer.param_groups[0]["lr"])

    rates = Rates()
    Trainer(
        accelerator="cpu",
        max_epochs=3,
        accumulate_grad_batches=2,
        logger=False,
        enable_checkpointing=False,
        callbacks=[rates],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        limit_val_batches=0,
    ).fit(
        TinyModule(optimizer=lambda groups: torch.optim.SGD(groups, lr=1.0), schedule=WarmupDecayHold(1, 2, 0.1)),
        TinyData(n=16, batch_size=4),
    )
    assert rates.seen == pytest.approx([0.0, 0.5, 1.0, 0.55, 0.1, 0.1])


def test_torchs_own_schedulers_step_with_the_optimizer(tmp_path):
    module = TinyModule(schedule=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 3))
    configured = module.configure_optimizers()
    assert configured["lr_scheduler"]["interval"] == "step"
    assert isinstance(configured["lr_scheduler"]["scheduler"], torch.optim.lr_scheduler.StepLR)


def test_data_with_another_number_of_classes_is_refused():
    with pytest.raises(UserError, match=r"data has 7 classes, the network 4: pass --model\.num_classes 7"):
        TinyModule().check_classes(7)


def test_a_schedule_by_epochs_knows_them_when_max_steps_alone_is_given(tmp_path):
    module = TinyModule(schedule=WarmupDecayHold(1, 3), optimizer=lambda p: torch.optim.SGD(p, lr=1.0))
    run = Trainer(
        accelerator="cpu", max_epochs=-1, max_steps=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0,
    )  # fmt: skip
    run.fit(module, TinyData(n=16, batch_size=4))
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(2 / 4)
