"""Batched augmentation against torchvision's functional, image by image."""

import pytest
import torch
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data import augment
from lpflu_bench.data.augment import JitterStrength, Noise, flip_horizontally, jitter_colors
from lpflu_bench.errors import UserError


def images(n=6, side=8):
    batch = torch.rand(n, 3, side, side)
    batch[0] = batch[0, :1]  # grey: no hue
    batch[1] = 0
    batch[2] = (batch[2] * 3).floor() / 2  # channels that are equal in pairs: the edges between hues
    return batch


@pytest.mark.parametrize(
    ("name", "amounts"),
    [
        ("brightness", [0.0, 0.5, 1.0, 1.3, 2.0, 0.9]),
        ("contrast", [0.0, 0.5, 1.0, 1.3, 2.0, 0.9]),
        ("saturation", [0.0, 0.5, 1.0, 1.3, 2.0, 0.9]),
        ("hue", [-0.5, -0.31, 0.0, 0.1, 0.25, 0.5]),
    ],
)
def test_adjustments_equal_torchvisions_for_each_image(name, amounts):
    for turn in range(len(amounts)):
        turned = amounts[turn:] + amounts[:turn]
        batch = images()
        expected = torch.stack(
            [getattr(TF, f"adjust_{name}")(image, amount) for image, amount in zip(batch, turned, strict=True)]
        )
        result = getattr(augment, f"adjust_{name}_")(batch, torch.tensor(turned))
        assert result is batch
        torch.testing.assert_close(result, expected, atol=2e-6, rtol=0)


def test_jitter_draws_for_each_image():
    same = torch.rand(1, 3, 8, 8).expand(32, -1, -1, -1).clone()
    changed = jitter_colors(same, JitterStrength())
    assert len(torch.unique(changed.flatten(1), dim=0)) == 32
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_jitter_stays_within_its_strengths():
    grey = torch.full((500, 3, 2, 2), 0.5)
    levels = jitter_colors(grey, JitterStrength(brightness=0.4, contrast=0, saturation=0, hue=0))[:, 0, 0, 0] / 0.5
    assert 0.6 <= levels.min() < 0.65
    assert 1.35 < levels.max() <= 1.4


def test_no_strength_changes_nothing():
    batch = images()
    assert torch.equal(jitter_colors(batch.clone(), JitterStrength(0, 0, 0, 0)), batch)


def test_jitter_order_varies():
    start = torch.rand(1, 3, 4, 4)
    orders = set()
    for seed in range(40):
        torch.manual_seed(seed)
        orders.add(tuple(torch.randperm(4).tolist()))
        torch.manual_seed(seed)
        jitter_colors(start.clone(), JitterStrength())
    assert len(orders) > 10


def test_jitter_is_one_of_torchvisions_results():
    batch = images(3)
    torch.manual_seed(4)
    order = torch.randperm(4).tolist()
    draws = torch.rand(4, 3)
    torch.manual_seed(4)
    result = jitter_colors(batch.clone(), JitterStrength(0.4, 0.3, 0.2, 0.1))
    for index, image in enumerate(batch):
        b, c, s, h = draws[:, index].tolist()
        steps = [
            lambda x, b=b: TF.adjust_brightness(x, 0.6 + 0.8 * b),
            lambda x, c=c: TF.adjust_contrast(x, 0.7 + 0.6 * c),
            lambda x, s=s: TF.adjust_saturation(x, 0.8 + 0.4 * s),
            lambda x, h=h: TF.adjust_hue(x, 0.2 * h - 0.1),
        ]
        for which in order:
            image = steps[which](image)
        torch.testing.assert_close(result[index], image, atol=1e-5, rtol=0)


def test_flip_mirrors_some_and_says_which():
    batch = torch.arange(64 * 3 * 2 * 4, dtype=torch.uint8).view(64, 3, 2, 4)
    flipped, which = flip_horizontally(batch)
    assert 10 < which.sum() < 54
    assert torch.equal(flipped[which], batch[which].flip(-1))
    assert torch.equal(flipped[~which], batch[~which])
    assert torch.equal(flip_horizontally(batch, 1.0)[0], batch.flip(-1))


def test_gaussian_noise_has_its_standard_deviation():
    noisy = Noise("gaussian", 0.1)(torch.full((4, 3, 64, 64), 0.5))
    assert noisy.std().item() == pytest.approx(0.1, rel=0.05)
    assert Noise("gaussian", 1.0)(torch.full((1, 3, 8, 8), 0.5)).max() == 1


def test_salt_and_pepper_hits_whole_pixels():
    noisy = Noise("salt_and_pepper", 0.2)(torch.full((4, 3, 64, 64), 0.5))
    hit = noisy != 0.5
    assert torch.equal(hit, hit[:, :1].expand_as(hit))
    assert hit.float().mean().item() == pytest.approx(0.2, rel=0.1)
    assert noisy.mean().item() == pytest.approx(0.5, abs=0.02)
    assert set(noisy.unique().tolist()) == {0.0, 0.5, 1.0}


def test_impulse_hits_single_values():
    noisy = Noise("impulse", 0.2)(torch.full((4, 3, 64, 64), 0.5))
    hit = noisy != 0.5
    assert hit.float().mean().item() == pytest.approx(0.2, rel=0.1)
    assert not torch.equal(hit[:, 0], hit[:, 1])
    assert noisy.unique().numel() > 100


@pytest.mark.parametrize("make", [lambda: JitterStrength(hue=0.6), lambda: JitterStrength(contrast=-1)])
def test_jitter_strength_out_of_range(make):
    with pytest.raises(UserError, match=r"jitter\.(hue|contrast) is"):
        make()


@pytest.mark.parametrize("kind", ["gaussian", "impulse"])
def test_noise_strength_out_of_range(kind):
    with pytest.raises(UserError, match="noise strength"):
        Noise(kind, -0.1)
