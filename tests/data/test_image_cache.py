"""The cache returns what decoding returns, decodes once, and says its size."""

import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from lpflu_bench.data.image_cache import ImageCache, fingerprint
from lpflu_bench.data.image_files import ImageFileError, read_image
from lpflu_bench.errors import UserError


class Counting:
    def __init__(self):
        self.calls = []

    def __call__(self, i):
        self.calls.append(i)
        return torch.full((3, 2, 2), i, dtype=torch.uint8)


@pytest.mark.parametrize("mode", ["none", "memory", "disk"])
def test_items_are_what_decode_returns(mode, tmp_path):
    decode = Counting()
    cache = ImageCache(decode, 5, (3, 2, 2), mode, folder=tmp_path, key="a")
    for _ in range(2):
        assert cache[[3, 1, 3]][:, 0, 0, 0].tolist() == [3, 1, 3]
    assert sorted(decode.calls) == ([1, 1, 3, 3, 3, 3] if mode == "none" else [1, 3])
    assert cache.nbytes == 60


def test_a_batch_is_a_copy():
    cache = ImageCache(Counting(), 2, (3, 2, 2), "memory")
    cache[[1]].zero_()
    assert cache[[1]].unique().tolist() == [1]


def test_a_later_run_finds_the_file(tmp_path):
    ImageCache(Counting(), 5, (3, 2, 2), "disk", folder=tmp_path, key="a")[[4, 2]]
    decode = Counting()
    again = ImageCache(decode, 5, (3, 2, 2), "disk", folder=tmp_path, key="a")
    assert again[[2, 4]][:, 0, 0, 0].tolist() == [2, 4]
    assert decode.calls == []
    other = ImageCache(decode, 5, (3, 2, 2), "disk", folder=tmp_path, key="b")
    other[[2]]
    assert decode.calls == [2]
    assert not list(tmp_path.glob(".images-*"))


def test_a_file_is_not_copied_to_another_process(tmp_path):
    cache = ImageCache(Counting(), 100000, (3, 2, 2), "disk", folder=tmp_path, key="a")
    cache[[1]]
    assert len(pickle.dumps(cache)) < 2000


class _Set(Dataset):
    def __init__(self, cache):
        self.cache = cache

    def __len__(self):
        return 6

    def __getitems__(self, indices):
        return self.cache[indices]


@pytest.mark.parametrize("mode", ["memory", "disk"])
def test_workers_fill_it_for_each_other(mode, tmp_path):
    cache = ImageCache(Counting(), 6, (3, 2, 2), mode, folder=tmp_path, key="a")
    loader = DataLoader(_Set(cache), batch_size=2, num_workers=2, collate_fn=lambda batch: batch)
    assert torch.cat(list(loader))[:, 0, 0, 0].tolist() == list(range(6))
    cache.decode = lambda i: pytest.fail("decoded again")
    assert cache[range(6)][:, 0, 0, 0].tolist() == list(range(6))


def test_no_room_is_one_line_with_the_size(tmp_path):
    for mode in ("memory", "disk"):
        with pytest.raises(UserError, match=r"data.cache: \w+ needs 3000000.00 GB") as caught:
            ImageCache(Counting(), 10**9, (3, 1000, 1000), mode, folder=tmp_path)
        assert "\n" not in str(caught.value)


def _write(path, size=(6, 4)):
    Image.fromarray(np.full((size[1], size[0], 3), 200, np.uint8)).save(path)


def test_fingerprint_changes_with_each_of_path_size_date_and_settings(tmp_path):
    path, other = tmp_path / "a.png", tmp_path / "b.png"
    for file in (path, other):
        file.write_bytes(b"1234")
        os.utime(file, ns=(10, 10))
    first = fingerprint([path], 320)
    assert first == fingerprint([path], 320)
    assert first != fingerprint([path], 300)
    assert first != fingerprint([other], 320)
    assert fingerprint([path, other]) != fingerprint([other, path])
    os.utime(path, ns=(10, 11))
    assert first != fingerprint([path], 320)
    path.write_bytes(b"12345")
    os.utime(path, ns=(10, 10))
    assert first != fingerprint([path], 320)


@pytest.mark.parametrize("mode", ["memory", "disk"])
def test_an_item_counts_as_filled_only_once_it_is_there(mode, tmp_path):
    """Another process that reads meanwhile must decode too, and what failed is decoded again."""

    def decode(i):
        assert not cache._open()[1][i]
        if not failed:
            failed.append(i)
            raise ImageFileError("no such file yet")
        return torch.full((3, 2, 2), 7, dtype=torch.uint8)

    failed = []
    cache = ImageCache(decode, 2, (3, 2, 2), mode, folder=tmp_path, key="a")
    with pytest.raises(ImageFileError):
        cache[[1]]
    assert cache[[1]].unique().tolist() == [7]
    assert cache._open()[1].tolist() == [0, 1]


def test_read_image(tmp_path):
    path = tmp_path / "a.png"
    _write(path)
    assert read_image(path).shape == (3, 4, 6)
    Image.new("L", (6, 4)).save(path)
    assert read_image(path).shape == (3, 4, 6)


class _Unreadable(Dataset):
    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 1

    def __getitem__(self, i):
        return read_image(self.path)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_image_is_one_line_that_names_it(num_workers, tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(ImageFileError) as caught:
        list(DataLoader(_Unreadable(path), num_workers=num_workers))
    assert str(caught.value).startswith(f"{path}: can't be read")
    assert "\n" not in str(caught.value)
