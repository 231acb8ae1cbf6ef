import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import Cityscapes as TorchvisionCityscapes

from lpflu_bench.data.augment import crop_and_flip
from lpflu_bench.data.cityscapes import Cityscapes
from lpflu_bench.data.segmentation_labels import IGNORE, UnknownLabelError, label_table
from lpflu_bench.data.synthetic_cityscapes import draw_scene
from lpflu_bench.errors import UserError

SIZES = {"train": 4, "val": 3}


def write_scene(root, split, name, picture, label):
    for part, suffix, pixels in (
        ("leftImg8bit", "leftImg8bit.png", picture),
        ("gtFine", "gtFine_labelIds.png", label),
    ):
        folder = root / part / split / name.split("_")[0]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{name}_{suffix}")


@pytest.fixture
def root(tmp_path):
    """A small set in Cityscapes' layout; names are written in an order that is not the sorted one."""
    rng = np.random.default_rng(0)
    for split, count in SIZES.items():
        for index in reversed(range(count)):
            write_scene(tmp_path / "cs", split, f"{'ba'[index % 2]}town_{index:06d}_000019", *draw_scene(rng))
    return tmp_path / "cs"


def a_label(root, split="train"):
    return sorted((root / "gtFine" / split).glob("*/*.png"))[0]


def loaded(root, **settings):
    settings = {"size": (48, 96), "crop_size": None, "batch_size": 2} | settings
    data = Cityscapes(root=str(root), **settings)
    data.setup("fit")
    return data


def test_all_ids_are_mapped_as_torchvision_lists_them():
    cityscapes = [c for c in TorchvisionCityscapes.classes if c.id >= 0]
    assert len(cityscapes) == 34
    ids = np.array([c.id for c in cityscapes], dtype=np.uint8)
    ignored, other = (label_table(name).map(ids).tolist() for name in ("cityscapes19", "cityscapes20"))
    assert ignored == [c.train_id if c.train_id < 19 else IGNORE for c in cityscapes]
    assert other == [c.train_id if c.train_id < 19 else 19 for c in cityscapes]
    names = label_table("cityscapes20").class_names
    assert names == [c.name for c in sorted(cityscapes, key=lambda c: c.train_id) if c.train_id < 19] + ["other"]


def test_own_table():
    table = label_table({"classes": {"street": 7, "plants": [21, 22]}, "ignore": [0]})
    assert table.class_names == ["street", "plants"]
    assert table.map(np.array([[22, 7], [0, 21]], dtype=np.uint8)).tolist() == [[1, 0], [IGNORE, 1]]
    with pytest.raises(UnknownLabelError) as error:
        table.map(np.array([7, 255, 9], dtype=np.uint8))
    assert error.value.ids == [9, 255]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("cityscapes34", "cityscapes34.*nearest are cityscapes20, cityscapes19"),
        ({"classes": {"a": 1, "b": [2, 1]}}, "b: the id 1 is given twice"),
        ({"classes": {"a": 256}}, "256 is not a valid label ID"),
        ({"classes": {"a": "road"}}, "is not a valid label ID"),
        ({"classes": {}}, "must name 1 to"),
        ({"class": {"a": 1}}, "unknown key 'class'"),
    ],
)
def test_impossible_tables_are_refused(labels, message):
    with pytest.raises(UserError, match=message):
        Cityscapes(labels=labels)


def test_scenes_are_sorted_and_masks_keep_their_resolution(root):
    data = loaded(root)
    assert (data.train_size, data.test_size, data.num_classes) == (4, 3, 20)
    assert [s.image.name[:12] for s in data.test_set.scenes] == ["atown_000001", "btown_000000", "btown_000002"]
    for scene in data.train_set.scenes:
        assert scene.label.name.split("_gtFine")[0] == scene.image.name.split("_leftImg8bit")[0]
    images, masks = data.prepare_batch(next(iter(data.train_dataloader())))
    assert images.shape == (2, 3, 48, 96)
    assert images.dtype == torch.float32
    assert masks.shape == (2, 48, 96)
    assert masks.dtype == torch.long
    assert images.abs().max() < 3
    images, masks = data.prepare_batch(next(iter(data.test_dataloader())))
    assert images.shape == (2, 3, 48, 96)
    original = np.asarray(Image.open(data.test_set.scenes[1].label))
    assert masks[1].tolist() == data.labels.map(original).tolist()
    # Nearest neighbour: halving takes pixels of the original, it mixes no classes.
    small = data.train_set[0][1]
    large = torch.from_numpy(data.labels.map(np.asarray(Image.open(data.train_set.scenes[0].label))))
    assert (small == large[1::2, 1::2]).all()


@pytest.mark.parametrize("mode", ["none", "memory", "disk"])
def test_caches_give_the_same_batches_each_time(root, tmp_path, mode):
    plain = loaded(root)
    cached = loaded(root, cache=mode, cache_dir=str(tmp_path / "cache"))
    for _ in range(2):
        for part in ("train_set", "test_set"):
            (images, masks), (images_, masks_) = (getattr(d, part).__getitems__([2, 0]) for d in (plain, cached))
            assert torch.equal(images, images_)
            assert all(torch.equal(a, b) for a, b in zip(masks, masks_, strict=True))


def test_the_second_epoch_does_not_decode(root):
    data = loaded(root, cache="memory")
    for part in (data.train_set, data.test_set):
        before = part.__getitems__([0, 1, 2])
        for scene in part.scenes:
            scene.image.unlink()
            scene.label.unlink()
        after = part.__getitems__([0, 1, 2])
        assert torch.equal(before[0], after[0])
        assert all(torch.equal(a, b) for a, b in zip(before[1], after[1], strict=True))


def test_another_label_table_is_another_cache_file(root, tmp_path):
    settings = {"cache": "disk", "cache_dir": str(tmp_path / "cache")}
    other, ignored = (loaded(root, labels=f"cityscapes{n}", **settings) for n in (20, 19))
    masks = [data.train_set.__getitems__([0, 1, 2, 3])[1] for data in (other, ignored)]
    assert (masks[0] == 19).any()
    assert torch.equal(masks[0] == 19, masks[1] == IGNORE)


def test_masks_of_different_sizes_are_scored_at_their_own(root):
    picture, label = draw_scene(np.random.default_rng(1))
    write_scene(root, "val", "ctown_000000_000019", picture[:50], label[:50])
    data = loaded(root, cache="memory", test_batch_size=4)
    images, masks = next(iter(data.test_dataloader()))
    assert images.shape == (4, 3, 48, 96)
    assert [tuple(mask.shape) for mask in masks] == [(96, 192)] * 3 + [(50, 192)]


def test_crops_and_flips_keep_image_and_mask_together():
    torch.manual_seed(0)
    masks = torch.arange(24).view(4, 6).to(torch.uint8).repeat(64, 1, 1)
    images = torch.stack([masks, masks + 100, masks + 200], dim=1)
    cropped, labels = crop_and_flip(images, masks, (2, 3))
    assert cropped.shape == (64, 3, 2, 3)
    for channel in range(3):
        assert torch.equal(cropped[:, channel], labels + 100 * channel)
    steps = labels[:, 0, 1].int() - labels[:, 0, 0].int()
    assert set(steps.tolist()) == {1, -1}
    assert (labels[:, 1].int() - labels[:, 0].int() == 6).all()
    corners = labels.flatten(1).min(dim=1).values
    assert set(corners.tolist()) == {6 * row + column for row in range(3) for column in range(4)}
    _, straight = crop_and_flip(images, masks, (2, 3), mirror=False)
    assert (straight[:, 0, 1].int() - straight[:, 0, 0].int() == 1).all()


def test_embedded_scenes_are_read_by_the_same_reader():
    data = loaded("embedded", cache="disk")
    assert (data.train_size, data.test_size) == (128, 32)
    _, masks = data.train_set.__getitems__(list(range(16)))
    assert {0, 1, 2, 8, 10, 11, 13, 19} <= set(masks.unique().tolist())


# --- bad input: one line that names the file


def missing_label(root):
    a_label(root).unlink()
    return f"{a_label(root).parent}.* is missing"


def other_size(root):
    Image.fromarray(np.asarray(Image.open(a_label(root)))[:90]).save(a_label(root))
    return f"{a_label(root)}: the label is 192x90 pixels, its image atown_.* 192x96"


def sixteen_bit(root):
    Image.fromarray(np.asarray(Image.open(a_label(root))).astype(np.uint16)).save(a_label(root))
    return f"{a_label(root)}: a label must be 8-bit with one channel"


def rgba(root):
    Image.open(a_label(root)).convert("RGBA").save(a_label(root))
    return f"{a_label(root)}: a label must be 8-bit with one channel .*RGBA"


def no_image(root):
    a_label(root).write_bytes(b"not a picture")
    return f"{a_label(root)}: can't be read"


def empty_split(root):
    shutil.rmtree(root / "leftImg8bit" / "val")
    (root / "leftImg8bit" / "val").mkdir()
    return f"{root / 'leftImg8bit' / 'val'} is empty"


def no_split(root):
    shutil.rmtree(root / "leftImg8bit" / "val")
    return "no split 'val' in this set; it has train"


def no_labels(root):
    shutil.rmtree(root / "gtFine")
    return f"{root / 'gtFine'} is missing"


@pytest.mark.parametrize(
    "damage", [missing_label, other_size, sixteen_bit, rgba, no_image, empty_split, no_split, no_labels]
)
def test_bad_files_stop_the_start(root, damage):
    message = damage(root)
    with pytest.raises(UserError, match=message) as error:
        loaded(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("..", "parent of the dataset folder: pass"),
        ("leftImg8bit", "too deep"),
        ("leftImg8bit/train", "too deep"),
    ],
)
def test_wrong_level_of_root(root, where, message):
    with pytest.raises(UserError, match=message) as error:
        loaded(root / where)
    assert str(root.resolve()) in str(error.value).replace("cs/../", "")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_unknown_id_names_file_and_id(root, num_workers):
    label = a_label(root, "val")
    pixels = np.asarray(Image.open(label)).copy()
    pixels[3, 4] = 77
    Image.fromarray(pixels).save(label)
    data = loaded(root, num_workers=num_workers)
    line = f"{label}: label id 77 is not in the label table; add it to data.labels (classes or ignore)"
    with pytest.raises(UserError) as error:
        list(data.test_dataloader())
    assert str(error.value) == line


def test_truncated_files_are_named_when_they_are_read(root):
    scene = loaded(root).train_set.scenes[0]
    for path in (scene.label, scene.image):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=str(path)) as error:
            loaded(root).train_set[0]
        assert "\n" not in str(error.value)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": (0, 96)}, "data.size"), ({"crop_size": (96, 96)}, r"crop_size \[96, 96\] does not fit")],
)
def test_impossible_sizes_are_refused(root, settings, message):
    with pytest.raises(UserError, match=message):
        loaded(root, **settings)
