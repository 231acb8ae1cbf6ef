"""A data module's test set under a corruption: computed, or from the official arrays."""

import pickle

import numpy as np
import pytest
import torch

from lpflu_bench.data import CIFAR100, VOC, Cityscapes
from lpflu_bench.data.corruptions import Corruption
from lpflu_bench.errors import UserError


def pixels(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


LABELS = [0, 1, 1, 0, 1]


def cifar100(root, **settings):
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, split in enumerate(("train", "test")):
        (folder / split).write_bytes(pickle.dumps({"data": pixels(5, seed), "fine_labels": LABELS}))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["a", "b"]}))
    data = CIFAR100(root=str(root), batch_size=2, **settings)
    data.setup("test")
    return data


def batches(loader):
    images, targets = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(targets)


def test_test_and_prediction_see_corrupted_images_and_validation_clean_ones(tmp_path):
    corruption = Corruption("fog", 4)
    data = cifar100(tmp_path, test_corruption=corruption)
    clean = torch.from_numpy(pixels(5, 1)).view(5, 3, 32, 32)
    images, targets = batches(data.test_dataloader())
    assert torch.equal(images, corruption(clean, range(5)))
    assert not torch.equal(images, clean)
    assert targets.tolist() == LABELS
    assert torch.equal(batches(data.predict_dataloader())[0], images)
    assert torch.equal(batches(data.val_dataloader())[0], clean)


def test_the_corrupted_set_does_not_depend_on_the_batch_size(tmp_path):
    corruption = Corruption("gaussian_noise", 5)
    one = batches(cifar100(tmp_path, test_corruption=corruption, test_batch_size=1).test_dataloader())[0]
    five = batches(cifar100(tmp_path, test_corruption=corruption, test_batch_size=5).test_dataloader())[0]
    assert torch.equal(one, five)


def test_by_configuration(tmp_path):
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CIFAR100, "data")
    parsed = parser.parse_args(["--data.test_corruption.name", "snow", "--data.test_corruption.severity", "2"])
    assert parser.instantiate_classes(parsed).data.test_corruption == Corruption("snow", 2)


@pytest.mark.parametrize("cls", [VOC, Cityscapes])
def test_what_moves_objects_is_refused_where_targets_have_a_place(cls):
    assert cls(test_corruption=Corruption("fog", 1)).test_corruption == Corruption("fog", 1)
    with pytest.raises(UserError) as error:
        cls(test_corruption=Corruption("elastic_transform", 1))
    assert "elastic_transform moves objects" in str(error.value)
    assert "fog" in str(error.value)


def official(root, labels=LABELS, name="fog", shape=(25, 32, 32, 3)):
    folder = root / "CIFAR-100-C"
    folder.mkdir()
    images = np.random.default_rng(9).integers(0, 256, shape, dtype=np.uint8)
    np.save(folder / f"{name}.npy", images)
    np.save(folder / "labels.npy", np.tile(np.array(labels, dtype=np.uint8), 5))
    return images


def test_official_arrays(tmp_path):
    arrays = official(tmp_path)
    data = cifar100(tmp_path, test_corruption=Corruption("fog", 3, official=True))
    images, targets = batches(data.test_dataloader())
    assert torch.equal(images, torch.from_numpy(arrays[10:15]).permute(0, 3, 1, 2))
    assert targets.tolist() == LABELS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": [0, 0, 1, 1, 1]}, "labels.npy: not the test set's classes in its order"),
        ({"shape": (20, 32, 32, 3)}, "fog.npy: uint8 [20, 32, 32, 3] is not 5 images at 5 severities"),
        ({"name": "snow"}, "fog.npy: cannot be read"),
    ],
)
def test_official_arrays_that_do_not_fit(tmp_path, settings, message):
    official(tmp_path, **settings)
    data = cifar100(tmp_path, test_corruption=Corruption("fog", 3, official=True))
    with pytest.raises(UserError) as error:
        data.test_dataloader()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_official_arrays_of_another_set():
    data = VOC(test_corruption=Corruption("fog", 3, official=True))
    with pytest.raises(UserError, match="only CIFAR-10 and CIFAR-100 have official corrupted images"):
        data.test_dataloader()
