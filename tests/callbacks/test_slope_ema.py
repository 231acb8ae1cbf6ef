"""The slope's claims, each by its own test: see lpflu_bench/callbacks/slope_ema.py."""

import copy

import pytest
import torch
from pytorch_lightning import Callback, seed_everything
from tiny import TinyData, TinyModule, averages, quiet_trainer, slopes
from torch import nn
from torch.utils.checkpoint import checkpoint

from lpflu_bench.activations.leaky import LPFLU, advance_slopes, draw_slopes, ema_layers
from lpflu_bench.callbacks import SlopeEMA


class Watch(Callback):
    """Notes the slopes that each training step saw, and the averages after it."""

    def __init__(self):
        self.slopes, self.averages, self.steps = [], [], []

    def on_before_backward(self, trainer, pl_module, loss):
        self.slopes.append(slopes(pl_module).clone())
        self.steps.append(trainer.global_step)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.averages.append(averages(pl_module).clone())


def trainer(tmp_path, watch, **settings):
    return quiet_trainer(
        tmp_path, callbacks=[SlopeEMA(), watch], **{"max_epochs": 1, "limit_val_batches": 0, **settings}
    )


def train(tmp_path, module=None, data=None, **settings):
    seed_everything(0)
    watch = Watch()
    module = module or TinyModule(activation="lpflu")
    trainer(tmp_path, watch, **settings).fit(module, data or TinyData())
    return module, watch


def test_every_step_has_its_own_slope_in_range_and_the_average_follows(tmp_path):
    module, watch = train(tmp_path)
    seen = torch.stack(watch.slopes)
    assert seen.shape == (4, len(ema_layers(module)))
    assert (seen >= 0).all()
    assert (seen <= 0.02).all()
    assert len(torch.unique(seen)) == seen.numel()  # another one for each step and layer
    expected = torch.full_like(seen[0], 0.01)
    for step in seen:
        expected = expected.lerp(step, 0.00125)
        assert torch.allclose(watch.averages[0], torch.full_like(seen[0], 0.01).lerp(seen[0], 0.00125), atol=1e-9)
    assert torch.allclose(averages(module), expected, atol=1e-9)


def test_micro_batches_share_one_draw_and_one_update(tmp_path):
    module, watch = train(tmp_path, data=TinyData(n=16, batch_size=2), accumulate_grad_batches=4)
    assert watch.steps == [0, 0, 0, 0, 1, 1, 1, 1]
    for first in (0, 4):
        for micro in range(first, first + 4):
            assert torch.equal(watch.slopes[micro], watch.slopes[first])
    assert not torch.equal(watch.slopes[0], watch.slopes[4])
    start = torch.full_like(watch.slopes[0], 0.01)
    for micro in range(3):
        assert torch.equal(watch.averages[micro], start)  # no optimizer step yet
    once = start.lerp(watch.slopes[0], 0.00125)
    assert torch.allclose(watch.averages[3], once, atol=1e-9)
    assert torch.allclose(averages(module), once.lerp(watch.slopes[4], 0.00125), atol=1e-9)


def test_activation_checkpointing_gives_the_same_gradients():
    network = nn.Sequential(nn.Linear(6, 8), LPFLU(), nn.Linear(8, 3), LPFLU())
    again = copy.deepcopy(network)
    x = torch.randn(5, 6)
    for step in range(3):
        advance_slopes(network, seed=0, step=step)
        advance_slopes(again, seed=0, step=step)
        network(x).square().sum().backward()
        checkpoint(again, x, use_reentrant=False).square().sum().backward()
    for (name, p), q in zip(network.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad), name
    assert torch.equal(averages(network), averages(again))  # the recomputation updates nothing


def test_no_recompilation_over_20_steps():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    network = nn.Sequential(nn.Linear(4, 4), LPFLU(), nn.Linear(4, 4), LPFLU())
    compiled = torch.compile(network, backend="aot_eager")
    x = torch.randn(3, 4)
    outputs = []
    for step in range(20):
        advance_slopes(network, seed=0, step=step)
        out = compiled(x)
        out.sum().backward()
        outputs.append(out.detach())
        assert torch.allclose(out, network(x), atol=1e-6)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch.equal(outputs[0], outputs[1])  # the new slope is seen


def test_bf16_autocast_keeps_the_slope_in_float32(tmp_path):
    module, watch = train(tmp_path, precision="bf16-mixed")
    assert slopes(module).dtype == averages(module).dtype == torch.float32
    exact = TinyModule(activation="lpflu")
    draw_slopes(exact, seed=0, step=3)
    assert torch.equal(watch.slopes[3], slopes(exact))


def test_half_leaves_slopes_and_averages_alone():
    network = nn.Sequential(nn.Linear(4, 4), LPFLU())
    advance_slopes(network, seed=0, step=0)
    before = slopes(network).clone(), averages(network).clone()
    network.half().to(torch.bfloat16)
    assert network[0].weight.dtype == torch.bfloat16
    assert slopes(network).dtype == torch.float32
    assert torch.equal(slopes(network), before[0])
    assert torch.equal(averages(network), before[1])


def test_resume_goes_on_with_the_draws_of_the_uninterrupted_run(tmp_path):
    whole, watched = train(tmp_path / "whole", max_epochs=3)
    seed_everything(0)
    first = trainer(tmp_path / "cut", Watch(), max_epochs=1, enable_checkpointing=True)
    first.fit(TinyModule(activation="lpflu"), TinyData())
    first.save_checkpoint(tmp_path / "cut.ckpt")
    seed_everything(0)
    resumed, watch = TinyModule(activation="lpflu"), Watch()
    trainer(tmp_path / "on", watch, max_epochs=3).fit(
        resumed, TinyData(), ckpt_path=tmp_path / "cut.ckpt", weights_only=True
    )
    assert len(watch.slopes) == 8
    for ours, theirs in zip(watch.slopes, watched.slopes[4:], strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(averages(resumed), averages(whole))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_plain_loop_needs_one_call():
    layer = LPFLU()
    assert float(layer.slope) == pytest.approx(0.01)  # without any call: the fixed slope (l + u) / 2
    network = nn.Sequential(layer)
    advance_slopes(network, seed=3, step=0)
    drawn = float(layer.slope)
    assert 0 <= drawn <= 0.02
    assert float(layer.slope_average) == pytest.approx(0.01 + 0.00125 * (drawn - 0.01), abs=1e-9)
    x = torch.linspace(-5, 0, 11)
    assert torch.allclose(
        network(x) - network.eval()(x),
        (drawn - layer.slope_average) * (x - LPFLU(slope="fixed", value=0.0)(x)),
        atol=1e-6,
    )
