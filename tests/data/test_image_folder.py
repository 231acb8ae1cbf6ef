"""A user's own folder of images, good and bad."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data import ImageFolder, ImageNet, TinyImageNet
from lpflu_bench.data.image_files import read_image
from lpflu_bench.errors import UserError


def picture(path, size=(32, 32), mode="RGB", value=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(abs(hash(path.name)) % 2**32)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    if value is not None:
        pixels[:] = value
    Image.fromarray(pixels).convert(mode).save(path)
    return pixels


@pytest.fixture
def root(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for name in ("cat", "ant", "bee"):
            for index in range(count):
                picture(tmp_path / split / name / f"{index}.png")
    return tmp_path


def ready(root, **settings):
    data = ImageFolder(root=str(root), batch_size=2, **settings)
    data.setup("fit")
    return data


def squares(images):
    """All images of a set."""
    return images.images_at(range(len(images)))


def test_classes_are_numbered_by_name_and_images_read_exactly(root):
    pixels = picture(root / "train" / "bee" / "1.png")
    data = ready(root)
    assert data.class_names == ["ant", "bee", "cat"]
    assert data.train_set.targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (data.train_size, data.test_size) == (9, 6)
    assert torch.equal(squares(data.train_set)[4], torch.from_numpy(pixels.copy()).permute(2, 0, 1))


def test_other_sizes_modes_and_formats_become_rgb_squares(root):
    picture(root / "train" / "ant" / "0.png", size=(50, 20), value=(10, 200, 30))
    picture(root / "train" / "ant" / "1.png", mode="L", value=77)
    picture(root / "train" / "ant" / "2.png", mode="RGBA", value=(1, 2, 3))
    picture(root / "train" / "ant" / "3.JPG", value=50)
    data = ready(root, image_size=24)
    assert squares(data.train_set).shape == (10, 3, 24, 24)
    assert squares(data.train_set)[:3, :, 5, 5].tolist() == [[10, 200, 30], [77] * 3, [1, 2, 3]]
    assert (squares(data.train_set)[3].float() - 50).abs().max() <= 2


def test_other_files_and_hidden_folders_are_left_alone(root):
    (root / "train" / "ant" / "notes.txt").write_text("x")
    (root / "train" / "README").write_text("x")
    (root / "train" / ".cache").mkdir()
    assert ready(root).train_size == 9


def test_undecodable_image_is_named(root):
    (root / "test" / "cat" / "1.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"test/cat/1\.png: can't be read as an image") as error:
        ready(root)
    assert "\n" not in str(error.value)


def test_truncated_image_is_named(root):
    path = root / "train" / "bee" / "2.png"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"train/bee/2\.png: can't be read as an image"):
        ready(root)


def test_class_folders_that_differ(root):
    picture(root / "train" / "dog" / "0.png")
    picture(root / "test" / "eel" / "0.png")
    with pytest.raises(UserError, match=r"train and test differ \(only in train: dog; only in test: eel\)"):
        ready(root)


def test_no_class_folders_says_what_was_expected(tmp_path):
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        with pytest.raises(UserError, match=r"has no class folders with images\. Expected: DIR/train/CLASS"):
            ready(tmp_path)


def test_class_without_images(root):
    (root / "test" / "fly").mkdir()
    with pytest.raises(UserError, match=r"test/fly holds no image"):
        ready(root)


def moved(root, test="val", train="training"):
    """The same set under other names."""
    (root / "test").rename(root / test)
    (root / "train").rename(root / train)
    return root


def test_splits_as_they_are_called(root):
    data = ready(moved(root))
    assert (data.train_size, data.test_size) == (9, 6)
    assert data.val_set is data.test_set


def test_validation_images_of_their_own(root):
    picture(root / "val" / "ant" / "9.png")
    picture(root / "val" / "bee" / "9.png")
    picture(root / "val" / "cat" / "9.png")
    assert len(ready(root).val_set) == 3
    assert ready(root, train="train+val").train_size == 12
    with pytest.raises(UserError, match=r"data\.test: there is no split 'testing'"):
        ready(root, test="testing")


def test_without_splits_a_share_of_each_class_is_tested_on(root):
    data = ready(root / "train", test_fraction=0.34)
    assert (data.train_size, data.test_size) == (6, 3)
    assert sorted(data.test_set.targets.tolist()) == [0, 1, 2]
    assert not set(data.train_set.paths) & set(data.test_set.paths)


def test_the_folder_above_is_refused(root):
    for split in ("train", "test"):
        (root / "set").mkdir(exist_ok=True)
        (root / split).rename(root / "set" / split)
    with pytest.raises(UserError, match=r"is a parent of the dataset folder: pass .*/set"):
        ready(root)


def batches(root, cache, tmp_path, **settings):
    """Every training image in the order of the set, and the statistics."""
    data = ready(root, cache=cache, cache_dir=str(tmp_path / "cache"), **settings)
    twice = [squares(data.train_set) for _ in range(2)]
    assert torch.equal(*twice)
    return twice[0], data.mean


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_the_cache_changes_nothing(root, cache, tmp_path):
    images, mean = batches(root, "memory", tmp_path, image_size=20)
    others, other_mean = batches(root, cache, tmp_path, image_size=20)
    assert torch.equal(images, others)
    assert torch.equal(mean, other_mean)


def test_images_are_decoded_in_the_loaders_processes(root):
    data = ready(root, cache="none", num_workers=1)
    images, targets = next(iter(data.train_dataloader()))
    order = list(data.train_dataloader().sampler)[:2]
    assert torch.equal(images, squares(data.train_set)[order])
    assert torch.equal(targets, data.train_set.targets[order])


def test_what_does_not_fit_into_memory_is_decoded_in_every_epoch(root, monkeypatch, capsys):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=3 * 32 * 32 * 2 * 7))
    data = ready(root)  # 9 training images, 6 test images
    assert (data.train_set.in_memory, data.test_set.in_memory) == (False, True)
    assert "training images take" in capsys.readouterr().err


def test_a_cache_on_disk_is_no_place_for_on_device(root):
    with pytest.raises(UserError, match=r"data\.on_device keeps all images in memory, data\.cache is disk"):
        ImageFolder(root=str(root), cache="disk", on_device=True)


def test_the_aspect_ratio_is_kept_by_cutting_the_longer_side(root):
    """Left third black, the middle white, the right third black: what is cut are the thirds."""
    path = root / "train" / "ant" / "0.png"
    pixels = np.zeros((30, 90, 3), np.uint8)
    pixels[:, 30:60] = 255
    Image.fromarray(pixels).save(path)
    cut, stretched = (squares(ready(root, image_size=30, keep_aspect=keep).train_set)[0] for keep in (True, False))
    assert (cut == 255).all()
    assert (stretched == 0).float().mean() > 0.5


def test_windows_of_larger_squares_in_training_and_their_middle_in_testing(root):
    data = ready(root, image_size=16, stored_size=20, augmentation="resized_crop_flip")
    batch = data.train_set.__getitems__(range(8))
    assert batch[0].shape == (8, 3, 20, 20)
    assert data.prepare_batch(data.augment_batch(batch))[0].shape == (8, 3, 16, 16)
    images, _ = data.prepare_batch((batch[0], batch[1]))
    middle = batch[0][:, :, 2:18, 2:18].float().div(255)
    torch.testing.assert_close(images, (middle - data.mean) / data.std)


def test_embedded_shapes_are_resized_to_the_networks_size():
    data = ImageFolder(root="embedded", image_size=40, batch_size=2)
    data.setup("fit")
    assert data.prepare_batch(next(iter(data.test_dataloader())))[0].shape == (2, 3, 40, 40)


def test_a_large_jpeg_is_decoded_at_a_smaller_size(root):
    path = root / "train" / "ant" / "0.jpg"
    ramp = np.linspace(0, 255, 800).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp, (600, 800))).save(path, quality=95)
    assert read_image(path, at_least=64).shape == (3, 75, 100)
    assert read_image(path).shape == (3, 600, 800)
    whole = TF.resize(read_image(path), [64, 64], antialias=True).int()
    data = ready(root, image_size=64)
    assert (squares(data.train_set)[0].int() - whole).abs().max() <= 3


# --- ImageNet's own layouts ---------------------------------------------------------------------------------------------


def test_tiny_imagenet(tmp_path):
    for name in ("n01", "n02"):
        for index in range(3):
            picture(tmp_path / "train" / name / "images" / f"{name}_{index}.JPEG")
        (tmp_path / "train" / name / f"{name}_boxes.txt").write_text("x\n")
    for index in range(4):
        picture(tmp_path / "val" / "images" / f"val_{index}.JPEG", size=(8, 8))
        picture(tmp_path / "test" / "images" / f"test_{index}.JPEG")
    rows = [f"val_{index}.JPEG\t{'n02' if index == 1 else 'n01'}\t0\t32\t44\t62\n" for index in range(4)]
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(rows))
    data = TinyImageNet(root=str(tmp_path), batch_size=2)
    data.setup("fit")
    assert (data.train_size, data.test_size, data.class_names) == (6, 4, ["n01", "n02"])
    assert [path.name for path in data.test_set.paths] == ["val_0.JPEG", "val_2.JPEG", "val_3.JPEG", "val_1.JPEG"]
    assert data.test_set.targets.tolist() == [0, 0, 0, 1]
    (tmp_path / "val" / "images" / "val_3.JPEG").unlink()
    with pytest.raises(UserError, match=r"val_3\.JPEG is missing, .*val_annotations\.txt names it"):
        TinyImageNet(root=str(tmp_path), batch_size=2).setup("fit")


def imagenet(home):
    for name in ("n01", "n02"):
        picture(home / "train" / name / f"{name}_7.JPEG")
    for index in (1, 2, 3):
        picture(home / "val" / f"ILSVRC2012_val_0000000{index}.JPEG")
    (home / "test").mkdir()
    picture(home / "test" / "ILSVRC2012_test_00000001.JPEG")


def check_imagenet(root):
    data = ImageNet(root=str(root), batch_size=1)
    data.setup("fit")
    assert (data.image_size, data.stored_size, data.keep_aspect) == (224, 256, True)
    assert (data.train_size, data.class_names) == (2, ["n01", "n02"])
    found = {path.stem[-1]: label for path, label in zip(data.test_set.paths, data.test_set.targets, strict=True)}
    assert found == {"1": 1, "2": 0, "3": 1}


def test_imagenet_as_kaggle_has_it(tmp_path):
    imagenet(tmp_path / "ILSVRC" / "Data" / "CLS-LOC")
    rows = [
        f"ILSVRC2012_val_0000000{index},{name} 1 2 3 4 {name} 5 6 7 8 "
        for index, name in ((3, "n02"), (1, "n02"), (2, "n01"))
    ]
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    check_imagenet(tmp_path)


def test_imagenet_with_the_development_kit(tmp_path):
    imagenet(tmp_path)
    kit = tmp_path / "ILSVRC2012_devkit_t12" / "data"
    kit.mkdir(parents=True)
    synsets = np.zeros(3, dtype=[("ILSVRC2012_ID", "i4"), ("WNID", "O"), ("words", "O")])
    for row, (number, name) in enumerate(((1, "n02"), (2, "n01"), (3, "n00"))):
        synsets[row] = (number, name, "words")
    savemat(kit / "meta.mat", {"synsets": synsets})
    labels = kit / "ILSVRC2012_validation_ground_truth.txt"
    labels.write_text("1\n2\n1\n")
    check_imagenet(tmp_path)
    labels.write_text("1\n2\n")
    with pytest.raises(UserError, match=r"has 3 images, .* has classes of 2"):
        check_imagenet(tmp_path)
