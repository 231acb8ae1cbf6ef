"""CIFAR's Python files, good and bad."""

import os
import pickle

import numpy as np
import pytest
import torch

from lpflu_bench.data import CIFAR10, CIFAR100
from lpflu_bench.errors import UserError


def write(path, content, protocol=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def pixels(n, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)


def cifar100(root, *, names=("a", "b"), labels=(0, 1, 1, 0)):
    folder = root / "cifar-100-python"
    for seed, split in enumerate(("train", "test")):
        write(folder / split, {"data": pixels(len(labels), seed), "fine_labels": list(labels)})
    write(folder / "meta", {"fine_label_names": list(names), "coarse_label_names": ["x"]})
    return folder


def ready(cls, root):
    data = cls(root=str(root), batch_size=2)
    data.setup("fit")
    return data


def test_cifar100_whatever_its_checksum(tmp_path):
    cifar100(tmp_path)
    data = ready(CIFAR100, tmp_path)
    assert data.class_names == ["a", "b"]
    assert data.train_set.targets.tolist() == [0, 1, 1, 0]
    assert torch.equal(data.train_set.images, torch.from_numpy(pixels(4, 0)).view(4, 3, 32, 32))
    assert torch.equal(data.test_set.images, torch.from_numpy(pixels(4, 1)).view(4, 3, 32, 32))


def test_cifar10_joins_its_batches_in_order(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        write(folder / name, {"data": pixels(3, number), "labels": [number % 3] * 3})
    write(folder / "batches.meta", {"label_names": ["a", "b", "c"]})
    data = ready(CIFAR10, tmp_path)
    assert (data.train_size, data.test_size) == (15, 3)
    assert data.train_set.targets.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [0] * 3 + [1] * 3


def test_files_as_python_2_wrote_them(tmp_path):
    folder = cifar100(tmp_path)
    # An array pickled by Python 2: its bytes are a `str`, opcode U/T, that is read as latin1.
    array = np.arange(3072, dtype=np.uint8).reshape(1, 3072)
    raw = array.tobytes()
    text = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89T" + len(raw).to_bytes(4, "little") + raw + b"tbU\x0bfine_labels]K\x01au."
    )
    (folder / "train").write_bytes(text)
    assert torch.equal(CIFAR100(root=str(tmp_path)).read().train.images.flatten(), torch.from_numpy(array).flatten())


def test_missing_files_are_named_with_what_to_do(tmp_path):
    with pytest.raises(UserError) as error:
        ready(CIFAR100, tmp_path)
    message = str(error.value)
    assert "train, test, meta not found" in message
    assert str(tmp_path / "cifar-100-python") in message
    assert "data.download true" in message
    assert "\n" not in message


def test_root_one_folder_too_low(tmp_path):
    folder = cifar100(tmp_path)
    with pytest.raises(UserError, match="one level too deep"):
        ready(CIFAR100, folder)


class Evil:
    """Runs a command when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_runs_something_is_refused(tmp_path):
    folder = cifar100(tmp_path)
    write(folder / "train", {"data": Evil(tmp_path / "harm"), "fine_labels": [0]})
    with pytest.raises(UserError, match=r"train: can't be read.*mkdir"):
        ready(CIFAR100, tmp_path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2])])
def test_broken_file_is_named(tmp_path, content):
    folder = cifar100(tmp_path)
    (folder / "test").write_bytes(content)
    with pytest.raises(UserError, match=r"test: can't be read as a CIFAR file"):
        ready(CIFAR100, tmp_path)


def test_truncated_file_is_named(tmp_path):
    folder = cifar100(tmp_path)
    (folder / "train").write_bytes((folder / "train").read_bytes()[:2000])
    with pytest.raises(UserError, match=r"train: can't be read as a CIFAR file"):
        ready(CIFAR100, tmp_path)


def test_wrong_shape_is_named(tmp_path):
    folder = cifar100(tmp_path)
    write(folder / "train", {"data": pixels(2, 0), "fine_labels": [0]})
    with pytest.raises(UserError, match=r"train: 'data' must be"):
        ready(CIFAR100, tmp_path)


def test_label_out_of_range(tmp_path):
    cifar100(tmp_path, labels=(0, 1, 2, 0))
    with pytest.raises(UserError, match=r"train: label 2 of image 2 is out of range"):
        ready(CIFAR100, tmp_path)


def test_no_class_names(tmp_path):
    folder = cifar100(tmp_path)
    write(folder / "meta", {})
    with pytest.raises(UserError, match=r"meta: no class names"):
        ready(CIFAR100, tmp_path)


def test_download_only_when_asked_and_missing(tmp_path, monkeypatch):
    from torchvision import datasets

    calls = []

    def fake(root, download):
        calls.append((root, download))
        cifar100(tmp_path)

    monkeypatch.setattr(datasets, "CIFAR100", fake)
    CIFAR100(root=str(tmp_path)).prepare_data()
    assert calls == []
    CIFAR100(root=str(tmp_path), download=True).prepare_data()
    assert calls == [(str(tmp_path), True)]
    CIFAR100(root=str(tmp_path), download=True).prepare_data()
    assert len(calls) == 1


def test_failed_download_is_one_line(tmp_path, monkeypatch):
    from torchvision import datasets

    def fake(root, download):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "CIFAR100", fake)
    with pytest.raises(UserError, match=r"can't be downloaded: no route to host"):
        CIFAR100(root=str(tmp_path), download=True).prepare_data()
