"""Classification from one array: batches, augmentation settings, hold-out, noisy test sets."""

import pytest
import torch

from lpflu_bench.data import CIFAR100, Noise, Shapes
from lpflu_bench.data.classification import ClassificationData, ImageSplits, channel_statistics, check_labels
from lpflu_bench.data.labelled_images import ImageArray
from lpflu_bench.errors import UserError


class Tiny(ClassificationData):
    """Random images, uint8, of few classes."""

    channels = 3

    def read(self):
        def draw(n):
            return ImageArray(torch.randint(0, 256, (n, self.channels, 6, 6), dtype=torch.uint8), torch.arange(n) % 3)

        return ImageSplits(draw(30), draw(9), ["a", "b", "c"])


class Grey(Tiny):
    """The same in one channel."""

    channels = 1


def ready(cls=Tiny, **settings):
    data = cls(batch_size=8, **settings)
    data.setup("fit")
    return data


def test_attributes_and_batches():
    data = ready()
    assert (data.num_classes, data.train_size, data.test_size) == (3, 30, 9)
    assert data.class_names == ["a", "b", "c"]
    batches = list(data.train_dataloader())
    assert [images.shape for images, _ in batches] == [(8, 3, 6, 6)] * 3
    assert batches[0][0].dtype == torch.uint8
    assert batches[0][1].dtype == torch.long
    order = list(data.train_dataloader().sampler)
    assert torch.equal(torch.cat([images for images, _ in batches]), data.train_set.images[order[:24]])
    assert torch.equal(torch.cat([targets for _, targets in batches]), data.train_set.targets[order[:24]])


def test_a_batch_is_gathered_at_once(monkeypatch):
    data = ready()
    monkeypatch.setattr(type(data.train_set), "__getitem__", lambda *_: pytest.fail("read sample by sample"))
    next(iter(data.train_dataloader()))


def test_validation_is_the_test_set_by_default():
    data = ready()
    assert data.val_set is data.test_set
    assert sum(len(targets) for _, targets in data.val_dataloader()) == 9


def test_prepared_training_images_are_normalised():
    data = ready()
    images, _ = data.prepare_batch((data.train_set.images, data.train_set.targets))
    assert images.dtype == torch.float32
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("augmentation", ["none", "flip", "jitter_flip"])
def test_augmentation_setting(augmentation):
    data = ready(augmentation=augmentation)
    before = data.train_set.images.clone()
    images, _ = data.augment_batch((data.train_set.images, data.train_set.targets))
    plain = before.float() / 255
    assert torch.equal(data.train_set.images, before)  # the array itself is never written to
    equal = torch.isclose(images, plain, atol=1e-6).flatten(1).all(1)
    mirrored = torch.isclose(images, plain.flip(-1), atol=1e-6).flatten(1).all(1)
    assert {
        "none": equal.all(),
        "flip": (equal | mirrored).all() and equal.any() and mirrored.any(),
        "jitter_flip": not (equal | mirrored).any(),
    }[augmentation]


def test_crop_flip_crops_and_mirrors():
    data = ready(augmentation="crop_flip")
    images = torch.arange(1, 37, dtype=torch.uint8).view(1, 1, 6, 6).repeat(64, 3, 1, 1)
    changed, _ = data.augment_batch((images, torch.zeros(64)))
    rightwards = changed[:, 0, 2, 3] > changed[:, 0, 2, 2]
    leftwards = changed[:, 0, 2, 3] < changed[:, 0, 2, 2]
    assert rightwards.sum() > 8
    assert leftwards.sum() > 8
    assert (changed == 0).any()  # the border


@pytest.mark.parametrize("augmentation", ["none", "jitter_flip"])
def test_grey_images_become_three_equal_channels(augmentation):
    data = ready(Grey, augmentation=augmentation)
    for batch in (data.augment_batch(next(iter(data.train_dataloader()))), next(iter(data.test_dataloader()))):
        images, _ = data.prepare_batch(batch)
        assert images.shape == (8, 3, 6, 6)
        torch.testing.assert_close(images[:, 0], images[:, 2])


def test_train_noise_is_new_each_time_and_on_training_images_alone():
    data = ready(augmentation="none", train_noise=Noise("gaussian", 0.1))
    batch = (data.train_set.images, data.train_set.targets)
    first, second = data.augment_batch(batch)[0], data.augment_batch(batch)[0]
    assert not torch.equal(first, second)
    difference = first - batch[0].float() / 255
    assert 0.06 < difference.std() < 0.11


def test_test_noise_is_one_fixed_set():
    torch.manual_seed(3)
    plain = ready()
    noisy = []
    for seed in (0, 1):
        torch.manual_seed(3)
        noisy.append(ready(seed=seed, test_noise=Noise("gaussian", 0.1)))
    images = [data.test_set.__getitems__(range(9))[0] for data in noisy]
    assert torch.equal(*images)
    assert torch.equal(noisy[0].test_set.__getitems__([7, 2])[0], images[0][[7, 2]])  # whatever the batches
    assert noisy[0].val_set is noisy[0].test_set
    assert torch.equal(noisy[0].train_set.images, plain.train_set.images)
    difference = images[0].float() - plain.test_set.images.float()
    assert 0.06 < difference.std() / 255 < 0.11
    assert not torch.equal(difference[0], difference[1])


def test_hold_out_is_a_share_of_each_class_and_the_same_for_every_seed():
    held_out = []
    for seed in (0, 1):
        torch.manual_seed(3)
        data = ready(val_fraction=0.2, seed=seed)
        assert (data.train_size, len(data.val_set), data.test_size) == (24, 6, 9)
        assert torch.bincount(data.val_set.targets).tolist() == [2, 2, 2]
        held_out.append(data.val_set.images)
    assert torch.equal(*held_out)
    rows = {tuple(image.flatten().tolist()) for image in data.train_set.images}
    assert not rows & {tuple(image.flatten().tolist()) for image in data.val_set.images}


def test_a_share_of_the_training_images_is_tested_on_after_the_test_images():
    torch.manual_seed(3)
    whole = ready()
    parts = []
    for seed in (0, 1):
        torch.manual_seed(3)
        data = ready(test_fraction=0.5, seed=seed)
        assert (data.train_size, data.test_size) == (15, 9 + 15)
        assert data.val_set is data.test_set
        assert torch.equal(data.test_set.images[:9], whole.test_set.images)
        assert torch.bincount(data.test_set.targets[9:]).tolist() == [5, 5, 5]
        parts.append(data)
    assert torch.equal(parts[0].test_set.images, parts[1].test_set.images)  # paired over the seeds
    rows = [tuple(i.flatten().tolist()) for i in torch.cat([data.train_set.images, data.test_set.images[9:]])]
    assert sorted(rows) == sorted(tuple(image.flatten().tolist()) for image in whole.train_set.images)
    torch.testing.assert_close(data.mean, channel_statistics(data.train_set)[0])  # of what is trained on


def test_validation_and_test_images_are_held_out_apart():
    data = ready(test_fraction=0.5, val_fraction=0.4)
    assert (data.train_size, len(data.val_set), data.test_size) == (9, 6, 24)
    parts = [data.train_set.images, data.val_set.images, data.test_set.images]
    assert len({tuple(image.flatten().tolist()) for image in torch.cat(parts)}) == 39


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"val_fraction": 1.0}, "val_fraction"),
        ({"test_fraction": 0.0}, "test_fraction"),
        ({"on_device": True, "num_workers": 2}, "on_device"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        Tiny(**settings)


def test_hold_out_too_small_to_hold_anything():
    with pytest.raises(UserError, match=r"val_fraction 0\.01 leaves no image to hold out"):
        ready(val_fraction=0.01)


def test_on_device_gives_the_same_batches():
    for settings in ({}, {"on_device": True}):
        torch.manual_seed(3)
        images, _ = next(iter(ready(**settings).train_dataloader()))
        torch.manual_seed(3)
        assert torch.equal(images, next(iter(ready().train_dataloader()))[0])


def test_statistics_equal_those_of_all_pixels():
    images = torch.randint(0, 256, (5000, 3, 2, 2), dtype=torch.uint8)
    mean, std = channel_statistics(ImageArray(images, torch.zeros(5000)))
    values = images.double().div(255).transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.flatten().double(), values.mean(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(std.flatten().double(), values.std(1, correction=0), atol=1e-5, rtol=0)


def test_label_out_of_range_names_file_and_image():
    with pytest.raises(UserError, match=r"batch_1: label 3 of image 1 is out of range: there are 3 classes, 0 to 2"):
        check_labels(torch.tensor([0, 3]), ["a", "b", "c"], "batch_1")


def test_embedded_stand_in_has_the_sets_classes():
    data = CIFAR100(root="embedded", batch_size=8)
    data.setup("fit")
    assert data.num_classes == 100
    assert data.train_set.targets.unique().tolist() == list(range(100))


def test_shapes_refuse_a_folder(tmp_path):
    with pytest.raises(UserError, match="Shapes is drawn in memory"):
        Shapes(root=str(tmp_path)).setup("fit")
