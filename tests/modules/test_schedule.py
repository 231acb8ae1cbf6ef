import pytest
import torch
from tiny import TinyData, TinyModule, quiet_trainer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR

from lpflu_bench.errors import UserError
from lpflu_bench.modules.schedule import OneCycle, WarmupCosine, WarmupDecayHold


def paper(step: int) -> float:
    """The table's corners, in steps: 0 -> 1 over 390, 1 -> 0.01 until 21450, then 0.01."""
    if step <= 390:
        return step / 390
    if step <= 21450:
        return 1 - 0.99 * (step - 390) / (21450 - 390)
    return 0.01


def test_every_step_of_80_epochs_is_the_papers():
    schedule = WarmupDecayHold(1, 55, 0.01)
    for step in range(390 * 80):
        assert schedule(step / 390) == pytest.approx(paper(step), rel=1e-12, abs=1e-15)
    assert schedule(390 / 390) == 1.0
    assert schedule(21450 / 390) == 0.01
    assert schedule(0) == 0.0


@pytest.mark.parametrize(
    ("images", "batch", "warmup", "decay"), [(17125, 100, 171, 9405), (2975, 16, 185, 10175), (50000, 128, 390, 21450)]
)
def test_corners_of_all_three_tasks(images, batch, warmup, decay):
    steps = images // batch
    assert (steps, steps * 55) == (warmup, decay)
    schedule = WarmupDecayHold()
    assert schedule(warmup / steps) == 1.0
    assert schedule((decay - 1) / steps) > 0.01
    assert schedule(decay / steps) == 0.01


def test_steps_with_an_optimizer():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = WarmupDecayHold(1, 3, 0.1)
    scheduler = LambdaLR(optimizer, lambda step: schedule(step / 4))
    seen = []
    for _ in range(13):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    expected = [0, 0.25, 0.5, 0.75, *(1 - 0.9 * i / 8 for i in range(8)), 0.1]
    assert seen == pytest.approx([0.5 * e for e in expected])


def test_corners_out_of_order_are_refused():
    with pytest.raises(ValueError, match="warmup_epochs < decay_end_epoch"):
        WarmupDecayHold(warmup_epochs=5, decay_end_epoch=5)


def rates(scheduler, steps):
    """Learning rates of the first steps."""
    seen = []
    for _ in range(steps):
        seen.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return seen


def sgd(lr=0.5):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)


def test_one_cycle_has_the_rates_of_torchs():
    steps, schedule = 40, OneCycle(peak=0.3, initial_factor=0.04, final_factor=4e-6)
    # torch counts from step 0 to the last one, so that its training is a step shorter than the number of steps
    ours = LambdaLR(sgd(), lambda step: schedule(step / 10, steps / 10))
    torchs = OneCycleLR(
        sgd(), 0.5, total_steps=steps + 1, pct_start=13 / 41, div_factor=25, final_div_factor=1e4, cycle_momentum=False
    )
    assert rates(ours, steps) == pytest.approx(rates(torchs, steps), rel=1e-9)


def test_cosine_without_warmup_has_the_rates_of_torchs():
    schedule = WarmupCosine(warmup_epochs=0, final_factor=0.1)
    ours = LambdaLR(sgd(), lambda step: schedule(step / 10, 3))
    assert rates(ours, 30) == pytest.approx(rates(CosineAnnealingLR(sgd(), 30, eta_min=0.05), 30), rel=1e-9)


def test_warmup_before_the_cosine():
    schedule = WarmupCosine(warmup_epochs=2)
    assert [schedule(epoch, 6) for epoch in (0, 1, 2, 4, 6)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert [schedule(epoch, 2) for epoch in (0.5, 1, 2)] == pytest.approx(
        [0.5, 1, 0]
    )  # in a short training: half of it


@pytest.mark.parametrize(
    "length", [{"max_epochs": 2}, {"max_epochs": -1, "max_steps": 8}, {"max_epochs": 9, "max_steps": 8}]
)
def test_a_schedule_ends_with_the_training(tmp_path, length):
    """Four batches an epoch: the training ends after 8 steps, whatever limits it."""
    module = TinyModule(
        schedule=OneCycle(0.5, 0.0, 0.0), optimizer=lambda groups: torch.optim.SGD(groups, lr=1.0), num_classes=4
    )
    seen = []
    module.on_train_batch_start = lambda *_: seen.append(module.optimizers().param_groups[0]["lr"])
    quiet_trainer(tmp_path, limit_val_batches=0, **length).fit(module, TinyData(n=16, batch_size=4))
    assert seen == pytest.approx([0.0, 0.1464466, 0.5, 0.8535534, 1.0, 0.8535534, 0.5, 0.1464466], abs=1e-6)


@pytest.mark.parametrize("build", [lambda: OneCycle(peak=1.0), lambda: WarmupCosine(warmup_epochs=-1)])
def test_values_out_of_range_are_refused(build):
    with pytest.raises(UserError, match=r"model\.schedule\.(peak|warmup_epochs) is"):
        build()
