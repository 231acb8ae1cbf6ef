"""A user's own folder of images, good and bad."""

import numpy as np
import pytest
import torch
from PIL import Image

from lpflu_bench.data import ImageFolder
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


def test_classes_are_numbered_by_name_and_images_read_exactly(root):
    pixels = picture(root / "train" / "bee" / "1.png")
    data = ready(root)
    assert data.class_names == ["ant", "bee", "cat"]
    assert data.train_set.targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (data.train_size, data.test_size) == (9, 6)
    assert torch.equal(data.train_set.images[4], torch.from_numpy(pixels.copy()).permute(2, 0, 1))


def test_other_sizes_modes_and_formats_become_rgb_squares(root):
    picture(root / "train" / "ant" / "0.png", size=(50, 20), value=(10, 200, 30))
    picture(root / "train" / "ant" / "1.png", mode="L", value=77)
    picture(root / "train" / "ant" / "2.png", mode="RGBA", value=(1, 2, 3))
    picture(root / "train" / "ant" / "3.JPG", value=50)
    data = ready(root, image_size=24)
    assert data.train_set.images.shape == (10, 3, 24, 24)
    assert data.train_set.images[:3, :, 5, 5].tolist() == [[10, 200, 30], [77] * 3, [1, 2, 3]]
    assert (data.train_set.images[3].float() - 50).abs().max() <= 2


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


def test_missing_split_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*train\. Expected: DIR/train/<class>"):
        ready(tmp_path)


def test_no_class_folders(root):
    for name in ("train", "test"):
        (root / "flat" / name).mkdir(parents=True)
    with pytest.raises(UserError, match=r"train has no class folders"):
        ready(root / "flat")


def test_class_without_images(root):
    (root / "test" / "fly").mkdir()
    with pytest.raises(UserError, match=r"test/fly holds no image"):
        ready(root)
