import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from lpflu_bench.modules.schedule import WarmupDecayHold


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
