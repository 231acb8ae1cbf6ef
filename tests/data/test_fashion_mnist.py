"""Fashion-MNIST's idx files, good and bad."""

import struct

import numpy as np
import pytest

from lpflu_bench.data import FashionMNIST
from lpflu_bench.errors import UserError


def write(root, labels=(0, 9, 5, 3)):
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    n = len(labels)
    for split in ("train", "t10k"):
        pixels = np.arange(n * 784, dtype=np.uint32).astype(np.uint8)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, n, 28, 28) + pixels.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, n) + bytes(labels))
    return folder


def ready(root):
    data = FashionMNIST(root=str(root), batch_size=2)
    data.setup("fit")
    return data


def test_grey_images_are_kept_in_one_channel_and_delivered_in_three(tmp_path):
    write(tmp_path)
    data = ready(tmp_path)
    assert data.train_set.images.shape == (4, 1, 28, 28)
    assert data.train_set.targets.tolist() == [0, 9, 5, 3]
    assert data.num_classes == 10
    images, _ = data.prepare_batch(next(iter(data.test_dataloader())))
    assert images.shape == (2, 3, 28, 28)


def test_missing_file_is_named(tmp_path):
    folder = write(tmp_path)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match=r"raw: t10k-labels-idx1-ubyte not found. Expected"):
        ready(tmp_path)


def test_broken_file_is_one_line(tmp_path):
    folder = write(tmp_path)
    (folder / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03\x00\x00\x00\x04")
    with pytest.raises(UserError, match=r"raw: can't be read"):
        ready(tmp_path)


def test_label_out_of_range(tmp_path):
    write(tmp_path, labels=(0, 10))
    with pytest.raises(UserError, match=r"label 10 of image 1 is out of range"):
        ready(tmp_path)
