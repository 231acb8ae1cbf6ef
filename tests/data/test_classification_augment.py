"""Augmentation of classification batches: each image by its own draws, against torchvision's one-image forms."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import v2

from lpflu_bench.data import ImageFolder, Mixing, RandAugment, Shapes
from lpflu_bench.data.classification_augment import crop_and_resize, erase, fit_to, pad_and_crop
from lpflu_bench.errors import UserError


def photographs(count=32, size=32):
    """Smooth images, uint8."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1).mul(255).byte()


def test_crop_flip_shifts_each_image_by_up_to_four_pixels():
    """With a value of its own in each pixel, a shift can be read off."""
    count, size = 64, 12
    images = torch.arange(1, size * size + 1, dtype=torch.uint8).view(1, 1, size, size).repeat(count, 3, 1, 1)
    shifts = set()
    for image, before in zip(pad_and_crop(images), images, strict=True):
        row, column = divmod(int(image[0, 4, 4]) - 1, size)
        dy, dx = row - 4, column - 4
        shifts.add((dy, dx))
        padded = F.pad(before, [4] * 4)
        assert torch.equal(image, padded[:, 4 + dy : 4 + dy + size, 4 + dx : 4 + dx + size])
    assert all(-4 <= shift <= 4 for pair in shifts for shift in pair)
    assert len(shifts) > 30
    assert {dy for dy, _ in shifts} == {dx for _, dx in shifts} == set(range(-4, 5))


def test_rand_augment_is_torchvisions_with_draws_for_each_image(monkeypatch):
    """What an image becomes is what torchvision makes of it alone with the same operations."""
    images = photographs(64, 16)
    draws = [torch.randint(28, (64,)) for _ in range(2)]
    remaining = iter(draws)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randint", lambda *_: next(remaining))
        changed = RandAugment(num_ops=2, magnitude=9)(images)
    names = list(v2.RandAugment._AUGMENTATION_SPACE)
    alone = v2.RandAugment()
    for index, (image, result) in enumerate(zip(images, changed, strict=True)):
        for draw in draws:
            name, negative = names[draw[index] // 2], draw[index] % 2
            levels, signed = alone._AUGMENTATION_SPACE[name]
            values = levels(31, 16, 16)
            level = 0.0 if values is None else float(values[9])
            level = -level if signed and negative else level
            image = alone._apply_image_or_video_transform(image, name, level, alone.interpolation, alone._fill)
        assert torch.equal(image, result), index
    assert len(set(draws[0].tolist())) > 20


def test_rand_augment_leaves_the_batch_it_is_given_alone():
    images = photographs()
    before = images.clone()
    changed = RandAugment(num_ops=1, magnitude=15)(images)
    assert torch.equal(images, before)
    unchanged = (changed == before).flatten(1).all(1).float().mean()
    assert unchanged < 0.6


def test_windows_are_drawn_for_each_image_and_resized():
    """Values that grow from left to right say where a window lies and how wide it is."""
    ramp = torch.linspace(0, 255, 64).byte().view(1, 1, 1, 64).expand(200, 3, 64, 64)
    crops = crop_and_resize(ramp, 32)
    assert crops.shape == (200, 3, 32, 32)
    assert crops.dtype == torch.uint8
    widths = (crops[:, 0, 0, -1].float() - crops[:, 0, 0, 0].float()) / 255
    assert widths.min() < 0.45  # sqrt(0.08) = 0.28 and its proportions
    assert widths.max() > 0.85
    assert len(set(crops[:, 0, 0, 0].tolist())) > 50


def test_an_erased_rectangle_has_the_mean_colour():
    images = torch.rand(300, 3, 32, 32).clamp(0.01, 0.99)
    mean = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1)
    erased = erase(images, 0.25, mean)
    changed = ~torch.isclose(erased, images, atol=1e-6).all(1)
    share = changed.flatten(1).float().mean(1)
    assert 0.15 < (share > 0).float().mean() < 0.35
    assert share.max() <= 0.36
    torch.testing.assert_close(erased.movedim(1, -1)[changed], mean.flatten().expand(int(changed.sum()), 3))


def test_mixed_images_and_classes_have_the_same_proportion():
    images, targets = torch.zeros(6, 3, 8, 8), torch.arange(6)
    images += targets.view(-1, 1, 1, 1)
    mixed, shares = Mixing(mixup=1.0)(images, targets, 6)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    torch.testing.assert_close(mixed[:, 0, 0, 0], shares @ torch.arange(6.0))
    mixed, shares = Mixing(cutmix=1.0)(images, targets, 6)
    torch.testing.assert_close(mixed[:, 0].mean(dim=(1, 2)), shares @ torch.arange(6.0))
    assert all(len(image.unique()) <= 2 for image in mixed)


def test_with_both_each_batch_draws_which():
    images, targets = torch.rand(4, 3, 8, 8), torch.arange(4)
    mixing = Mixing(mixup=1.0, cutmix=1.0)
    kept = [torch.isin(mixing(images, targets, 4)[0], images).all().item() for _ in range(40)]
    assert {True, False} == set(kept)  # CutMix makes no new values


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Mixing(), "larger of mixup and cutmix is 0"),
        (lambda: Mixing(mixup=-1, cutmix=1), r"mixing\.mixup is -1"),
        (lambda: RandAugment(magnitude=31), r"magnitude is 31"),
        (lambda: Shapes(erasing=0.0), r"data\.erasing is 0"),
        (lambda: ImageFolder(image_size=32, stored_size=16), r"data\.stored_size is 16: it must be at least 32"),
    ],
)
def test_values_out_of_range_are_refused(build, message):
    with pytest.raises(UserError, match=message):
        build()


def test_a_batch_through_everything():
    data = Shapes(
        root="embedded",
        augmentation="crop_flip",
        rand_augment=RandAugment(),
        erasing=0.5,
        mixing=Mixing(mixup=0.2),
        batch_size=32,
    )
    data.setup("fit")
    results = []
    for _ in range(2):
        torch.manual_seed(4)
        results.append(data.prepare_batch(data.augment_batch(next(iter(data.train_dataloader())))))
    images, shares = results[0]
    assert images.shape == (32, 3, 32, 32)
    assert shares.shape == (32, 10)
    assert torch.isfinite(images).all()
    assert torch.equal(images, results[1][0])  # the seed decides all of it
    assert torch.equal(shares, results[1][1])


def test_smaller_images_are_resized_and_larger_ones_cut():
    images = photographs(2, 8)
    assert torch.equal(fit_to(images, 4), images[:, :, 2:6, 2:6])
    assert fit_to(images, 16).shape == (2, 3, 16, 16)
    assert torch.equal(fit_to(images, 8), images)
