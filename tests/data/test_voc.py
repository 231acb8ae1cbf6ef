"""VOC's layout: what is read, which rules boxes follow, and one line for whatever is wrong."""

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lpflu_bench.data.annotations import resolve
from lpflu_bench.data.boxes import PackedTargets, flip_boxes
from lpflu_bench.data.detection_layouts.voc_xml import read_xml
from lpflu_bench.data.detection_set import DetectionSet
from lpflu_bench.data.image_files import ImageHeader
from lpflu_bench.data.voc import VOC
from lpflu_bench.data.voc_classes import VOC_CLASSES
from lpflu_bench.errors import UserError

LABELS = {"cat": 1, "dog": 2}


def read_annotation(file, size=(80, 60)):
    """The annotation of an image of that size."""
    return resolve(read_xml(file, lambda name: Path("x.jpg")), ImageHeader(*size, orientation=1, mode="RGB"), LABELS)


def object_xml(name="cat", box=(11, 21, 30, 40), difficult=0):
    corners = "".join(f"<{c}>{v}</{c}>" for c, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


def annotation_xml(*objects, size=(80, 60)):
    width, height = size
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{''.join(objects)}</annotation>"


def write_image(folder: Path, stem: str, *objects: str, size=(80, 60)):
    rng = np.random.default_rng(len(stem))
    image = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    image.save(folder / "JPEGImages" / f"{stem}.jpg")
    (folder / "Annotations" / f"{stem}.xml").write_text(annotation_xml(*objects, size=size))


@pytest.fixture
def root(tmp_path):
    """Three training images (VOC2012), two test images (VOC2007), one annotated image in no list."""
    root = tmp_path / "data"
    for year in ("VOC2012", "VOC2007"):
        for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (root / "VOCdevkit" / year / name).mkdir(parents=True)
    folder = root / "VOCdevkit" / "VOC2012"
    write_image(folder, "a", object_xml("cat"), object_xml("dog", difficult=1))
    write_image(folder, "b", object_xml("dog"), size=(40, 50))
    write_image(folder, "c", object_xml("dog"), object_xml("cat", (1, 1, 80, 60)))
    write_image(folder, "unlisted", object_xml("cat"))
    (folder / "ImageSets" / "Main" / "trainval.txt").write_text("c\na\nb\n")
    folder = root / "VOCdevkit" / "VOC2007"
    write_image(folder, "d", object_xml("cat"), object_xml("dog", difficult=1))
    write_image(folder, "e", object_xml("dog"))
    (folder / "ImageSets" / "Main" / "test.txt").write_text("d\ne\n")
    return root


def voc(root, **settings):
    data = VOC(
        **{
            "root": str(root),
            "train": "2012/trainval",
            "classes": ["cat", "dog"],
            "batch_size": 2,
            "image_size": 32,
            **settings,
        }
    )
    data.setup("fit")
    return data


def annotation_file(root, stem, year="VOC2012"):
    return root / "VOCdevkit" / year / "Annotations" / f"{stem}.xml"


# --- what is read ---------------------------------------------------------------------------------------------------


def test_lists_classes_and_sizes(root):
    data = voc(root)
    assert (data.train_size, data.test_size, data.num_classes) == (3, 2, 2)
    assert [a.image.stem for a in data.train_set.annotations] == ["c", "a", "b"]
    assert data.val_set is data.test_set
    assert len(VOC_CLASSES) == 20


def test_every_annotated_image_and_joined_lists(root):
    assert [a.image.stem for a in voc(root, train="2012/all").train_set.annotations] == ["a", "b", "c", "unlisted"]
    joined = voc(root, train="2012/trainval+2007/test").train_set.annotations
    assert [a.image.stem for a in joined] == ["c", "a", "b", "d", "e"]


def test_boxes_count_from_zero_and_are_scaled_with_the_image(root):
    file = annotation_file(root, "a")
    annotation = read_annotation(file)
    assert annotation.boxes.tolist() == [[10, 20, 30, 40], [10, 20, 30, 40]]
    assert annotation.labels.tolist() == [1, 2]
    images, targets = voc(root).train_set.__getitems__([2, 0])
    assert images.shape == (2, 3, 32, 32)
    assert images.dtype == torch.uint8
    b, c = targets.unpack()
    torch.testing.assert_close(b["boxes"], torch.tensor([[10 * 0.8, 20 * 0.64, 30 * 0.8, 40 * 0.64]]))
    assert b["size"].tolist() == [50, 40]
    assert c["boxes"][1].tolist() == [0, 0, 32, 32]
    assert (int(b["image_id"]), int(c["image_id"])) == (2, 0)


def test_difficult_objects_are_not_trained_on_and_crowd_at_test(root):
    data = voc(root)
    _, train = data.train_set.__getitems__([1])
    _, test = data.test_set.__getitems__([0])
    assert train.labels.tolist() == [1]
    assert (test.labels.tolist(), test.iscrowd.tolist()) == ([1, 2], [0, 1])
    data = voc(root, train_on_difficult=True, difficult_is_crowd=False)
    _, train = data.train_set.__getitems__([1])
    _, test = data.test_set.__getitems__([0])
    assert (train.labels.tolist(), train.iscrowd.tolist()) == ([1, 2], [0, 0])
    assert test.iscrowd.tolist() == [0, 0]


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_the_cache_changes_nothing(cache, root, tmp_path):
    plain = voc(root).train_set.__getitems__([0, 2])
    cached = voc(root, cache=cache, cache_dir=str(tmp_path / "cache")).train_set
    for _ in range(2):
        images, targets = cached.__getitems__([0, 2])
        assert torch.equal(images, plain[0])
        assert torch.equal(targets.boxes, plain[1].boxes)


def test_loader_gives_the_modules_batches(root):
    data = voc(root)
    batch = next(iter(data.train_dataloader()))
    images, targets = data.prepare_batch(data.augment_batch(batch))
    assert (images.dtype, images.shape) == (torch.float32, (2, 3, 32, 32))
    assert 0 <= images.min() <= images.max() <= 1
    assert [sorted(target) for target in targets] == [["boxes", "image_id", "iscrowd", "labels", "size"]] * 2
    assert sum(len(x[0]) for x in data.test_dataloader()) == 2


def test_predictions_find_their_image(root):
    data = voc(root)
    assert data.image_path(1).name == "e.jpg"
    assert data.original_image(1).shape == (3, 60, 80)


# --- boxes ----------------------------------------------------------------------------------------------------------


def packed():
    return PackedTargets(
        boxes=torch.tensor([[1.0, 2, 3, 4], [0, 0, 10, 10], [5, 1, 6, 2]]),
        labels=torch.tensor([1, 2, 1]),
        iscrowd=torch.zeros(3, dtype=torch.long),
        image_index=torch.tensor([0, 2, 2]),
        counts=(1, 0, 2),
        image_id=torch.arange(3),
        size=torch.full((3, 2), 10),
    )


def test_flipped_boxes_cover_the_flipped_pixels():
    images = torch.zeros(3, 1, 10, 10)
    targets = packed()
    for box, image in zip(targets.boxes.int().tolist(), targets.image_index, strict=True):
        images[image, :, box[1] : box[3], box[0] : box[2]] += 1
    flipped = flip_boxes(targets, torch.tensor([True, True, False]), width=10)
    assert flipped.boxes[1:].equal(targets.boxes[1:])
    x1, y1, x2, y2 = flipped.boxes[0].int().tolist()
    mirrored = images[0].flip(-1)
    assert mirrored[:, y1:y2, x1:x2].sum() == mirrored.sum() == 4


def test_unpack_gives_every_image_its_own():
    first, second, third = packed().unpack()
    assert first["labels"].tolist() == [1]
    assert second["boxes"].shape == (0, 4)
    assert third["labels"].tolist() == [2, 1]


def test_augmentation_is_a_function_of_the_generator(root):
    data = voc(root)
    batch = next(iter(data.train_dataloader()))
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(data.augment_batch(copy.deepcopy(batch))[0])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


# --- rules for what real data has -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "box", [(30, 30, 30, 30), (40, 10, 20, 30), (10, 40, 20, 20), (90, 10, 99, 30), (-9, 10, 0, 30), (10, 61, 20, 80)]
)
def test_boxes_without_area_or_outside_are_left_out(box, tmp_path):
    file = tmp_path / "x.xml"
    file.write_text(annotation_xml(object_xml("dog", box), object_xml()))
    annotation = read_annotation(file)
    assert annotation.labels.tolist() == [1]
    assert annotation.degenerate == ("x.xml: object 1 (dog)",)


def test_boxes_beyond_the_image_are_clipped(tmp_path):
    file = tmp_path / "x.xml"
    file.write_text(annotation_xml(object_xml("dog", (-5, 10, 90, 70)), object_xml("cat", (0, 0, 80, 60))))
    annotation = read_annotation(file)
    assert annotation.boxes.tolist() == [[0, 9, 80, 60], [0, 0, 80, 60]]
    assert annotation.num_clipped == 1  # a file that counts pixels from 0 is not beyond its image


def test_one_warning_counts_all_of_it(root):
    folder = root / "VOCdevkit" / "VOC2012"
    write_image(folder, "a", object_xml("dog", (5, 5, 5, 5)))
    write_image(folder, "b", object_xml("dog", (5, 5, 500, 20)))
    write_image(root / "VOCdevkit" / "VOC2007", "d")
    with pytest.warns(UserWarning, match="training set") as caught:
        data = voc(root)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "1 degenerate boxes left out (the first: a.xml: object 1 (dog))" in message
    assert "1 boxes clipped" in message
    assert "1 of 3 images without objects" in message
    assert "test set: 1 of 2 images without objects" in message
    images, targets = data.train_set.__getitems__([0, 1])
    assert targets.counts == (2, 0)
    assert len(targets.unpack()) == len(images) == 2


def test_nothing_peculiar_no_warning(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        voc(root)


# --- bad input: one line --------------------------------------------------------------------------------------------


def fails(root, *parts, **settings):
    with pytest.raises(UserError) as caught:
        voc(root, **settings)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


ENTITIES = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>'
LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<annotation><size>", ["not well-formed"]),
        ("", ["not well-formed"]),
        ("<annotation><size></size></annotation>", ["size/width is None"]),
        (annotation_xml(size=(0, 60)), ["size/width is '0'"]),
        (annotation_xml(size=("wide", 60)), ["size/width is 'wide'"]),
        (annotation_xml(object_xml(), "<object><name>dog</name></object>"), ["object 2 (dog)", "lacks bndbox"]),
        (annotation_xml(object_xml("dog", (1, 2, "three", 4))), ["object 1 (dog)", "bndbox/xmax is 'three'"]),
        (annotation_xml(object_xml("dog", (1, 2, 3, "nan"))), ["bndbox/ymax is 'nan'"]),
        (
            annotation_xml(object_xml(), object_xml("dgo"), size=(40, 50)),
            ["object 2 (dgo)", "data.classes", "nearest is dog"],
        ),
        (annotation_xml(object_xml("")), ["object 1", "no class name"]),
        (
            annotation_xml(object_xml("dog", (0.1, 0.2, 0.5, 0.9))),
            ["object 1 (dog)", "0.1, 0.2, 0.5, 0.9 are all in 0..1"],
        ),
        (ENTITIES, ["refused", "entities"]),
        (LAUGHS, ["refused", "entities"]),
    ],
)
def test_bad_annotations_name_file_and_object(text, parts, root):
    file = annotation_file(root, "b")
    file.write_text(text)
    fails(root, str(file), *parts)


def test_missing_files_are_named(root):
    folder = root / "VOCdevkit" / "VOC2012"
    annotation_file(root, "b").unlink()
    fails(root, str(annotation_file(root, "b")), "is missing")
    (folder / "JPEGImages" / "b.jpg").unlink()
    fails(root, "trainval.txt names 'b'", "b.jpg is missing")
    annotation_file(root, "b").write_text(annotation_xml(object_xml()))
    fails(root, "trainval.txt names it", "no image of that name")


def test_lists_are_checked(root):
    lists = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main"
    for name in ("2012/val", "trainval", "2010/trainval"):
        fails(
            root, f"no split '{name}'", "2007/test, 2007/all, 2012/trainval, 2012/all", "--data.train null", train=name
        )
    (lists / "trainval.txt").write_text("\n")
    fails(root, str(lists / "trainval.txt"), "is empty")


def test_the_expected_folder_is_named(root):
    assert voc(root / "VOCdevkit").train_size == 3
    fails(root.parent, "a parent of the dataset folder", f"pass {root}")
    (root.parent / "empty").mkdir()
    fails(root.parent / "empty", "none of the known layouts", "VOCdevkit/VOC2012", "data.yaml")
    fails(root.parent / "nowhere", "nowhere")


def test_a_set_without_objects_is_refused(root):
    for stem in ("d", "e"):
        write_image(root / "VOCdevkit" / "VOC2007", stem)
    with pytest.warns(UserWarning, match="without objects"):
        fails(root, "none of the 2 images of the test set has an object")


def test_settings_are_checked():
    for settings in ({"classes": []}, {"classes": ["a", "a"]}, {"image_size": 16}):
        with pytest.raises(UserError, match=f"data.{next(iter(settings))}"):
            VOC(**settings)


def test_an_image_of_another_size_than_its_annotation_is_named(root):
    annotation_file(root, "b").write_text(annotation_xml(object_xml(), size=(80, 60)))
    fails(root, "b.jpg: the image is 40x50 pixels, its annotation says 80x60")


# --- the embedded set -----------------------------------------------------------------------------------------------


def test_the_embedded_set_is_read_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = voc("embedded", classes=list(VOC_CLASSES))
    assert data.num_classes == 20
    assert (data.train_size, data.test_size) == (256, 64)
    assert isinstance(data.train_set, DetectionSet)
    assert torch.cat(data.train_set.labels).unique().tolist() == list(range(1, 21))
    assert any(a.difficult.any() for a in data.test_set.annotations)
    three = voc("embedded", classes=["circle", "square", "triangle"])
    assert torch.cat(three.test_set.labels).unique().tolist() == [1, 2, 3]
