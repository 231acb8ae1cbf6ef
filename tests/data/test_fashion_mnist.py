"""Fashion-MNIST's idx files, good and bad."""

import gzip
import struct

import numpy as np
import pytest
import torch

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
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte: can't be read as an IDX file"):
        ready(tmp_path)


@pytest.mark.parametrize("nested", [True, False])
def test_packed_and_flat_files(tmp_path, nested):
    plain = ready(write(tmp_path / "plain"))
    folder = write(tmp_path / "packed")
    if not nested:  # as Debian installs them
        folder = folder.rename(tmp_path / "flat")
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = ready(tmp_path / ("packed" if nested else "flat"))
    assert torch.equal(packed.train_set.images, plain.train_set.images)
    assert packed.test_set.targets.tolist() == [0, 9, 5, 3]


def test_packed_file_that_is_cut_short(tmp_path):
    folder = write(tmp_path)
    path = folder / "train-images-idx3-ubyte"
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz: can't be unpacked"):
        ready(tmp_path)


def test_fewer_labels_than_images(tmp_path):
    folder = write(tmp_path)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 3) + bytes(3))
    with pytest.raises(UserError, match=r"has 3 labels of 4 images"):
        ready(tmp_path)


def test_label_out_of_range(tmp_path):
    write(tmp_path, labels=(0, 10))
    with pytest.raises(UserError, match=r"label 10 of image 1 is out of range"):
        ready(tmp_path)
