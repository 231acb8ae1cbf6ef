"""Masks in every layout become the same class indices, and what is odd is right or one line."""

import numpy as np
import pytest
import torch
from PIL import Image

from lpflu_bench.data import Cityscapes, SegmentationFolder
from lpflu_bench.data.segmentation_labels import IGNORE, derived_labels, label_table
from lpflu_bench.errors import UserError

HEIGHT, WIDTH = 48, 64
COLORS = {"sky": (70, 130, 180), "road": (128, 64, 128), "car": (0, 0, 142)}
STEMS = ("a", "b (1)", "b (2)", "c")


def classes(stem):
    """The class index of each pixel of an image: 0, 1 or 2."""
    return np.random.default_rng(len(stem)).integers(0, 3, (HEIGHT, WIDTH), dtype=np.uint8)


def save(pixels, path, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette(palette)
    image.save(path)


def picture(path):
    save(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8), path)


def pairs(root, image, mask, encode=lambda c: c, stems=STEMS):
    """Write images and masks; ``image`` and ``mask`` are paths with {} for the stem."""
    for stem in stems:
        picture(root / image.format(stem))
        save(encode(classes(stem)), root / mask.format(stem))


def in_color(c):
    return np.array(list(COLORS.values()), np.uint8)[c]


def images_and_masks(root):
    pairs(root, "images/{}.jpg", "masks/{}_mask.png")


def splits_inside(root):
    for split in ("train", "val", "test"):
        pairs(root, f"{split}/images/{{}}.png", f"{split}/masks/{{}}.png")


def camvid(root):
    for split in ("train", "val"):
        pairs(root, f"{split}/{{}}.png", f"{split}annot/{{}}.png")


def any_names(root):
    pairs(root, "photographs/{}.jpg", "by_hand/{}.png")


def colors_with_a_table(root):
    for split in ("train", "val"):
        pairs(root, f"{split}/{{}}.png", f"{split}_labels/{{}}_L.png", in_color)
    rows = "".join(f"{name},{r},{g},{b}\n" for name, (r, g, b) in COLORS.items())
    (root / "class_dict.csv").write_text(f"name,r,g,b\n{rows}")


def ade(root):
    for split in ("training", "validation"):
        pairs(root, f"images/{split}/{{}}.jpg", f"annotations/{split}/{{}}.png", lambda c: c + 1)
    rows = "".join(f"{i}\t0.1\t10\t5\t{name}, other words\n" for i, name in enumerate(COLORS, start=1))
    (root / "objectInfo150.txt").write_text(f"Idx\tRatio\tTrain\tVal\tName\n{rows}")


def voc(root, kit="VOCdevkit/VOC2012/", encode=None):
    palette = [channel for color in COLORS.values() for channel in color]
    for stem in STEMS:
        picture(root / kit / "JPEGImages" / f"{stem}.jpg")
        save(classes(stem), root / kit / "SegmentationClass" / f"{stem}.png", palette)
    lists = root / kit / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb (1)\n")
    (lists / "val.txt").write_text("\ufeffb (2)\r\nc\r\n")


def cvat(root):
    voc(root, kit="")
    rows = "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in COLORS.items())
    (root / "labelmap.txt").write_text(f"# label:color_rgb:parts:actions\n{rows}")


def train_ids(root, name="labelTrainIds"):
    for split in ("train", "val"):
        mask = f"gtFine/{split}/city/{{}}_gtFine_{name}.png"
        pairs(root, f"leftImg8bit/{split}/city/{{}}_leftImg8bit.png", mask)


NAMED = list(COLORS)
NUMBERS = ["class_0", "class_1", "class_2"]
LAYOUTS = {
    images_and_masks: (3, 1, NUMBERS),
    splits_inside: (4, 4, NUMBERS),
    camvid: (4, 4, NUMBERS),
    any_names: (3, 1, NUMBERS),
    colors_with_a_table: (4, 4, NAMED),
    ade: (4, 4, NAMED),
    cvat: (2, 2, NAMED),
}


def loaded(root, kind=SegmentationFolder, **settings):
    settings = {"size": (24, 32), "crop_size": None, "batch_size": 1, "test_fraction": 0.25} | settings
    data = kind(root=str(root), **settings)
    data.setup("fit")
    return data


def fails(root, *parts, kind=SegmentationFolder, read=0, **settings):
    with pytest.raises(UserError) as caught:
        [data.test_set[i] for data in [loaded(root, kind, **settings)] for i in range(read)]
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize("write", LAYOUTS)
def test_every_layout_is_found_and_read_alike(write, tmp_path, capsys):
    write(tmp_path)
    for folder in [path for path in tmp_path.rglob("*") if path.is_dir()]:
        (folder / "._a.png").write_bytes(b"\0\5\x16\7")
        (folder / "Thumbs.db").write_bytes(b"x")
    data = loaded(tmp_path)
    train_size, test_size, names = LAYOUTS[write]
    assert (data.train_size, data.test_size, data.class_names) == (train_size, test_size, names)
    for index, scene in enumerate(data.test_set.scenes):
        expected = classes(scene.image.stem)
        assert torch.equal(data.test_set[index][1], torch.from_numpy(expected))
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"({train_size} images)" in line


def test_vocs_devkit_has_vocs_classes(tmp_path):
    voc(tmp_path)
    data = loaded(tmp_path)
    assert data.class_names[:2] == ["background", "aeroplane"]
    assert data.num_classes == 21
    assert [s.image.stem for s in data.test_set.scenes] == ["b (2)", "c"]
    assert label_table("voc21").map(np.array([0, 20, 255], np.uint8)).tolist() == [0, 20, IGNORE]
    fails(tmp_path, "no split '2012/trainval'", "2012/train, 2012/val, 2012/all", train="2012/trainval")


@pytest.mark.parametrize(("labels", "void"), [("cityscapes19", IGNORE), ("cityscapes20", 19)])
def test_train_ids_are_told_from_label_ids(labels, void, tmp_path, capsys):
    train_ids(tmp_path)
    data = loaded(tmp_path, Cityscapes, labels=labels)
    assert torch.equal(data.test_set[0][1], torch.from_numpy(classes(data.test_set.scenes[0].image.stem[:-12])))
    assert data.labels.map(np.array([0, 18, 255], np.uint8)).tolist() == [0, 18, void]
    assert "(train ids)" in capsys.readouterr().err
    label = next((tmp_path / "gtFine" / "val" / "city").iterdir())
    label.rename(label.with_name(label.name.replace("labelTrainIds", "labelIds")))
    fails(tmp_path, "labelIds.png is missing", "label ids and train ids are not mixed", kind=Cityscapes)


def test_train_ids_called_label_ids_are_refused(tmp_path):
    for split in ("train", "val"):
        for stem in STEMS:
            picture(tmp_path / "leftImg8bit" / split / "city" / f"{stem}_leftImg8bit.png")
            ids = np.random.default_rng(0).integers(0, 19, (HEIGHT, WIDTH), dtype=np.uint8)
            save(ids, tmp_path / "gtFine" / split / "city" / f"{stem}_gtFine_labelIds.png")
    fails(tmp_path, "look like train ids", kind=Cityscapes)
    own = {"classes": {f"c{i}": i for i in range(19)}}
    assert loaded(tmp_path, Cityscapes, labels=own).num_classes == 19  # whoever names the ids knows them


def test_dummy_masks_are_refused(tmp_path):
    train_ids(tmp_path, name="labelIds")
    fails(tmp_path, "dummy masks of Cityscapes' test set", kind=Cityscapes)


@pytest.mark.parametrize(("ids", "expected"), [((0, 255), [0, 1]), ((0, 1, 255), [0, 1, IGNORE]), ((3, 7), [0, 1])])
def test_derived_ids(ids, expected):
    table = label_table(derived_labels(ids, colors=False))
    assert table.map(np.array(ids, np.uint8)).tolist() == expected


def test_black_and_white_masks_are_two_classes(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", lambda c: c > 0)
    data = loaded(tmp_path)
    assert data.class_names == ["class_0", "class_1"]
    assert torch.equal(
        data.test_set[0][1], torch.from_numpy((classes(data.test_set.scenes[0].image.stem) > 0) * 1).byte()
    )


def test_colors_are_derived_or_named(tmp_path):
    pairs(tmp_path, "images/{}.jpg", "masks/{}.png", in_color)
    assert loaded(tmp_path).class_names == ["#00008e", "#4682b4", "#804080"]
    own = {"classes": {"ground": "#804080", "rest": ["#00008e"]}, "ignore": ["#4682b4"]}
    mask = loaded(tmp_path, labels=own).test_set[0][1]
    assert mask.unique().tolist() == [0, 1, IGNORE]
    del own["ignore"]
    fails(tmp_path, "colour #4682b4 is not in the label table", labels=own, read=1)
    fails(tmp_path, "this one is RGB; for a mask of colours", labels={"classes": {"a": 0, "b": 1}})
    fails(tmp_path, "not both", labels={"classes": {"a": 0, "b": "#000000"}})


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("frame", ["stored", "shown"])
def test_a_mask_is_turned_with_its_image_if_it_has_its_stored_size(orientation, frame, tmp_path):
    images_and_masks(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}[orientation]
    pixels = classes("b (1)")
    for stem in STEMS:
        Image.fromarray(pixels).convert("RGB").save(tmp_path / "images" / f"{stem}.png", exif=exif)
        (tmp_path / "images" / f"{stem}.jpg").unlink()
        shown = np.asarray(Image.fromarray(pixels).transpose(turned))
        stored = frame == "stored" and orientation >= 5
        save(pixels if stored else shown, tmp_path / "masks" / f"{stem}_mask.png")
    data = loaded(tmp_path)
    assert torch.equal(data.test_set[0][1], torch.from_numpy(shown.copy()))
    assert torch.equal(data.original_image(0)[0], data.test_set[0][1])


def remove_a_mask(root):
    (root / "masks" / "c_mask.png").unlink()


def sixteen_bits(root):
    save(classes("c").astype(np.uint16), root / "masks" / "c_mask.png")


def another_size(root):
    save(classes("c")[:-2], root / "masks" / "c_mask.png")


def smooth_edges(root):
    save(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8), root / "masks" / "c_mask.png")


def one_value(root):
    for stem in STEMS:
        save(np.zeros((HEIGHT, WIDTH), np.uint8), root / "masks" / f"{stem}_mask.png")


def two_images(root):
    picture(root / "images" / "c.png")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_a_mask, "c.jpg has no mask"),
        (sixteen_bits, "c_mask.png: a label must be 8-bit with one channel (the ids), this one is I;16"),
        (another_size, "c_mask.png: the label is 64x46 pixels, its image c.jpg 64x48"),
        (smooth_edges, "the masks hold 256 values: too many for classes"),
        (one_value, "fewer than two classes"),
        (two_images, "have the same stem"),
    ],
)
def test_what_can_not_be_right_is_one_line(damage, message, tmp_path):
    images_and_masks(tmp_path)
    damage(tmp_path)
    fails(tmp_path, message)


def test_no_known_layout_says_what_is_expected(tmp_path):
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "none of the known layouts", "images/NAME.jpg and masks/NAME.png", "leftImg8bit")
    images_and_masks(tmp_path / "inner" / "set")
    fails(tmp_path / "inner" / "set" / "images", "too deep", f"pass {(tmp_path / 'inner' / 'set').resolve()}")
    assert loaded(tmp_path / "inner").train_size == 3  # a folder more above all of it changes nothing
