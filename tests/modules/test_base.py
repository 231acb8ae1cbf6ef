import pytest
import torch
from pytorch_lightning import Trainer
from tiny import TinyData, TinyModule, quiet_trainer
from torch import nn

from lpflu_bench.activations import list_activations
from lpflu_bench.errors import UserError
from lpflu_bench.modules import WarmupDecayHold
from lpflu_bench.networks.image_sizes import check_image_size
from lpflu_bench.networks.initializers import initialize
from lpflu_bench.seeding import derive_seed, run_seed


class _Square(nn.Module):
    """Takes images of one size, and asks for a value that there is none of on the meta device."""

    def __init__(self, side):
        super().__init__()
        self.conv, self.side, self.calls = nn.Conv2d(3, 1, 1), side, 0

    def forward(self, images):
        self.calls += 1
        if images.shape[-2:] != (self.side, self.side):
            raise AssertionError(f"only {self.side} x {self.side}, not {tuple(images.shape)}")
        return self.conv(images) * images.sum().item()


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of convolutions, norms and linear layers: what every function's network has."""
    return {
        f"{name}.{key}": value
        for name, part in module.network.named_modules()
        if isinstance(part, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
        for key, value in part.state_dict().items()
    }


class TwoConvolutions(nn.Sequential):
    """A network of every kind of layer with weights."""

    def __init__(self, num_classes):
        layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


def test_every_function_starts_from_the_same_weights():
    network = f"{__name__}.TwoConvolutions"
    reference = weights(TinyModule(network=network, activation="relu"))
    assert len(reference) == 11
    for name in list_activations():
        torch.manual_seed(hash(name) % 1000)  # whatever was drawn before does not matter
        ours = weights(TinyModule(network=network, activation=name))
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


@pytest.mark.parametrize("initializer", ["xavier_uniform", "orthogonal", "keep"])
def test_the_network_is_initialized_as_configured(initializer):
    module = TinyModule(initializer=initializer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(run_seed(), "network"))
        expected = module.build_network()
        initialize(expected, initializer)
    assert all(torch.equal(part, expected.state_dict()[name]) for name, part in module.network.state_dict().items())
    if initializer == "xavier_uniform":  # the default, and the paper's: variance 2 / (fan_in + fan_out), biases 0
        assert all(
            torch.equal(one, other) for one, other in zip(TinyModule().parameters(), module.parameters(), strict=True)
        )
        for layer in module.network.modules():
            if isinstance(layer, nn.Conv2d):
                fans = (layer.in_channels + layer.out_channels) * layer.kernel_size[0] * layer.kernel_size[1]
                assert layer.weight.abs().max() <= (6 / fans) ** 0.5
                assert layer.weight.std().item() == pytest.approx((2 / fans) ** 0.5, rel=0.15)
            elif isinstance(layer, nn.Linear):
                assert torch.equal(layer.bias, torch.zeros_like(layer.bias))


@pytest.mark.parametrize("channels_last", [True, False])
def test_channels_last_is_the_format_of_network_and_images(tmp_path, channels_last):
    module = TinyModule(channels_last=channels_last)
    quiet_trainer(tmp_path, fast_dev_run=1).fit(module, TinyData())
    weight = module.network.get_submodule("layer1.0.conv1").weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    seen = []
    module.network.register_forward_pre_hook(lambda _, images: seen.append(images[0]))
    module(torch.zeros(2, 3, 8, 8))
    assert seen[0].is_contiguous(memory_format=torch.channels_last) == channels_last


def test_a_network_that_cannot_take_the_images_is_refused_before_training():
    check_image_size(TinyModule().network, 8, 8)
    network = _Square(16)
    check_image_size(network, 16, 16)
    before = torch.get_rng_state()
    with pytest.raises(UserError, match=r"does not take images of 8 x 24 pixels, .*: only 16 x 16.*model\.network"):
        check_image_size(network, 8, 24)
    assert torch.equal(before, torch.get_rng_state())
    assert network.calls == 0


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
