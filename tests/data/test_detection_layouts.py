"""Boxes in every layout become the same annotations, and what is odd is right or one line."""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from lpflu_bench.data import VOC, DetectionFolder
from lpflu_bench.errors import UserError

SIZE = (64, 48)  # width, height
BOXES = (("dog", (4, 6, 30, 40)), ("cat", (10, 8, 50, 20)))  # continuous corners
STEMS = ("a.rf.01", "b (1)", "b (2)", "c")


def write_image(path, size=SIZE, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **settings)


def xml(name="x.jpg", boxes=BOXES, size=SIZE, extra=""):
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox>{extra}</object>"
        for label, (x1, y1, x2, y2) in boxes
    )
    width, height = size
    return (
        f"<annotation><filename>{name}</filename><size><width>{width}</width><height>{height}</height></size>"
        f"{objects}</annotation>"
    )


def write_xml(path, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(xml(**settings))


def coco(stems=STEMS, **annotation):
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 9, "name": "never"}]
    ids = {category["name"]: category["id"] for category in categories}
    entries = [
        {"image_id": i, "category_id": ids[label], "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0, **annotation}
        for i in range(len(stems))
        for label, (x1, y1, x2, y2) in BOXES
    ]
    return {
        "images": [{"id": i, "file_name": f"{s}.jpg", "width": 64, "height": 48} for i, s in enumerate(stems)],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(entries)],
        "categories": categories,
    }


def yolo_lines(boxes=BOXES):
    width, height = SIZE
    return "".join(
        f"{('dog', 'cat').index(label)} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} {(x2 - x1) / width} "
        f"{(y2 - y1) / height}\n"
        for label, (x1, y1, x2, y2) in boxes
    )


def beside(root, folder):
    """Images and XML in one folder (Roboflow, LabelImg)."""
    for stem in STEMS:
        write_image(root / folder / f"{stem}.jpg")
        write_xml(root / folder / f"{stem}.xml")


def roboflow_voc(root):
    for split in ("train", "valid", "test"):
        beside(root, split)


def labelimg(root):
    beside(root, ".")


def cvat(root):
    for stem in (*STEMS, "s/q"):
        write_image(root / "JPEGImages" / f"{stem}.png")
        write_xml(root / "Annotations" / f"{stem}.xml")
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "default.txt").write_text("\ufeff" + "\n".join((*STEMS, "s/q.png")))


def images_and_annotations(root):
    for split in ("train", "val"):
        for stem in STEMS:
            write_image(root / "images" / split / f"{stem}.jpg")
            write_xml(root / "annotations" / split / f"{stem}.xml")


def coco_official(root):
    for split in ("train2017", "val2017"):
        for stem in STEMS:
            write_image(root / split / f"{stem}.jpg")
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco()))


def coco_roboflow(root):
    for split in ("train", "valid", "test"):
        for stem in STEMS:
            write_image(root / split / f"{stem}.jpg")
        (root / split / "_annotations.coco.json").write_text(json.dumps(coco()))


def yolo_ultralytics(root):
    for split in ("train", "val"):
        for stem in STEMS:
            write_image(root / "images" / split / f"{stem}.jpg")
            label = root / "labels" / split / f"{stem}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(yolo_lines())
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: {0: dog, 1: cat}\n")


def yolo_roboflow(root):
    for split in ("train", "valid"):
        for stem in STEMS:
            write_image(root / split / "images" / f"{stem}.jpg")
            label = root / split / "labels" / f"{stem}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(yolo_lines())
    (root / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['dog', 'cat']\n")


def yolo_classes_txt(root):
    for stem in STEMS:
        write_image(root / f"{stem}.jpg")
        (root / f"{stem}.txt").write_text(yolo_lines())
    (root / "classes.txt").write_text("dog\ncat\n")


LAYOUTS = {
    roboflow_voc: ("voc_flat", 4, 4),
    labelimg: ("voc_flat", 3, 1),
    cvat: ("voc_flat", 4, 1),
    images_and_annotations: ("voc_flat", 4, 4),
    coco_official: ("coco", 4, 4),
    coco_roboflow: ("coco", 4, 4),
    yolo_ultralytics: ("yolo", 4, 4),
    yolo_roboflow: ("yolo", 4, 4),
    yolo_classes_txt: ("yolo", 3, 1),
}


def loaded(root, **settings):
    data = DetectionFolder(root=str(root), batch_size=1, image_size=32, **settings)
    data.setup("fit")
    return data


def fails(root, *parts, **settings):
    with pytest.raises(UserError) as caught:
        loaded(root, **settings)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize("write", LAYOUTS)
def test_every_layout_is_found_and_read_alike(write, tmp_path, capsys):
    write(tmp_path)
    name, train_size, test_size = LAYOUTS[write]
    for ghost in ("._c.jpg", "._c.xml", "._c.txt", "._data.yaml", ".DS_Store"):
        (tmp_path / ghost).write_bytes(b"\0\5\x16\7")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = loaded(tmp_path, test_fraction=0.25)
    assert data.class_names == ["cat", "dog"]
    assert (data.train_size, data.test_size) == (train_size, test_size)
    for part in (data.train_set, data.test_set):
        for annotation in part.annotations:
            assert annotation.labels.tolist() == [2, 1]
            torch.testing.assert_close(annotation.boxes, torch.tensor([box for _, box in BOXES], dtype=torch.float32))
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"({train_size} images)" in line
    assert "2 classes: cat, dog" in line
    assert loaded(tmp_path, layout=name, test_fraction=0.25).train_size == train_size


def test_a_split_beside_train_and_test_validates(tmp_path):
    roboflow_voc(tmp_path)
    data = loaded(tmp_path)
    assert {a.image.parent.name for a in data.val_set.annotations} == {"valid"}
    assert {a.image.parent.name for a in data.test_set.annotations} == {"test"}
    data = loaded(tmp_path, train="train+valid", test="test")
    assert data.train_size == 8
    assert data.val_set is data.test_set


def test_the_share_held_out_does_not_depend_on_the_runs_seed(tmp_path):
    labelimg(tmp_path)
    first, again = (
        [a.image.name for a in loaded(tmp_path, test_fraction=0.5, seed=seed).test_set.annotations] for seed in (0, 1)
    )
    assert first == again
    fails(tmp_path, "data.test_fraction 0.01 of 4 images", test_fraction=0.01)


def test_coco_crowds_are_not_trained_on_and_ignored_in_scoring(tmp_path):
    coco_official(tmp_path)
    for split in ("train2017", "val2017"):
        content = coco(segmentation={"counts": [1], "size": [48, 64]})
        content["annotations"][0]["iscrowd"] = 1
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="8 x RLE mask ignored"):
        data = loaded(tmp_path, train_on_difficult=True, difficult_is_crowd=False)
    _, train = data.train_set.__getitems__([0])
    _, test = data.test_set.__getitems__([0])
    assert (train.labels.tolist(), test.labels.tolist(), test.iscrowd.tolist()) == ([1], [2, 1], [1, 0])


def test_a_list_that_repeats_an_image_counts_it_once(tmp_path):
    cvat(tmp_path)
    source = tmp_path / "ImageSets" / "Main" / "default.txt"
    source.write_text("c\nb (1)\nc\ns/q\nc  1\n")
    with pytest.warns(UserWarning, match="2 x line of .*default.txt that repeats an image"):
        data = loaded(tmp_path, test="all", train="default")
    assert [a.image.stem for a in data.train_set.annotations] == ["c", "b (1)", "q"]


def test_two_images_of_one_stem_need_the_annotations_file_name(tmp_path):
    labelimg(tmp_path)
    write_image(tmp_path / "c.png")
    write_xml(tmp_path / "c.xml", name="c.png")
    data = loaded(tmp_path, train="all", test="all")
    assert [a.image.name for a in data.train_set.annotations][-1] == "c.png"
    write_xml(tmp_path / "c.xml", name="C:\\photos\\c")
    fails(tmp_path, "have the same stem", "c.xml could belong to either")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("frame", ["stored", "shown"])
def test_boxes_are_in_the_frame_that_their_size_says(orientation, frame, tmp_path):
    """A white box in the stored pixels, annotated in either frame, is found white in the image that is trained on."""
    labelimg(tmp_path)
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[6:40, 4:30] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "c.png"
    (tmp_path / "c.jpg").unlink()
    Image.fromarray(pixels).save(path, exif=exif)
    shown = {1: (4, 6, 30, 40), 3: (34, 8, 60, 42), 6: (8, 4, 42, 30), 8: (6, 34, 40, 60)}[orientation]
    size = (48, 64) if frame == "shown" and orientation >= 5 else SIZE
    box = (4, 6, 30, 40) if frame == "stored" and orientation >= 5 else shown
    write_xml(tmp_path / "c.xml", size=size, boxes=[("dog", box)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = loaded(tmp_path, train="all", test="all")
    # Where both frames have one size, the boxes are taken as shown, and that is said.
    assert ("turned and unturned" in str(caught[0].message)) == (orientation == 3)
    (annotation,) = [a for a in data.train_set.annotations if a.image == path]
    assert annotation.boxes[0].tolist() == list(shown)


def test_what_is_left_aside_is_counted(tmp_path):
    yolo_classes_txt(tmp_path)
    (tmp_path / "c.txt").write_text("0 0.1 0.1 0.6 0.1 0.6 0.7\n")
    (tmp_path / "b (1).txt").unlink()
    with pytest.warns(UserWarning, match="1 of 4 images without objects.* 1 x polygon taken as its bounding box"):
        data = loaded(tmp_path, train="all", test="all")
    torch.testing.assert_close(data.train_set.annotations[-1].boxes, torch.tensor([[6.4, 4.8, 38.4, 33.6]]))


def test_an_image_in_both_sets_is_said(tmp_path):
    labelimg(tmp_path)
    with pytest.warns(UserWarning, match="4 of the 4 test images are in the training set too"):
        loaded(tmp_path, train="all", test="all")


@pytest.mark.parametrize(
    ("write", "name", "text", "part"),
    [
        (yolo_classes_txt, "c.txt", "2 .5 .5 .1 .1", "line 1: class number 2 is not in 0 to 1"),
        (yolo_classes_txt, "c.txt", "0 32 24 10 10", "has a coordinate outside 0..1"),
        (yolo_classes_txt, "c.txt", "0 .5 .5", "has 3 numbers"),
        (yolo_classes_txt, "c.txt", "dog .5 .5 .1 .1", "expected a class number"),
        (coco_roboflow, "train/_annotations.coco.json", '{"images": [', "invalid JSON"),
        (labelimg, "c.xml", xml(size=(100, 100)), "c.jpg: the image is 64x48 pixels, its annotation says 100x100"),
        (labelimg, "d.xml", xml(), "there is no image of that name"),
        (labelimg, "c.jpg", "<html>", "c.jpg: can't be read as an image (the file is not in a known image format)"),
    ],
)
def test_bad_files_are_one_line(write, name, text, part, tmp_path):
    write(tmp_path)
    (tmp_path / name).write_text(text)
    fails(tmp_path, part)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"bbox": [1, 2, 3]}, "bbox is [1, 2, 3]"),
        ({"bbox": [0.1, 0.1, 0.5, 0.5]}, "are all in 0..1"),
        ({"category_id": 5}, "category_id 5 is not among the categories"),
        ({"image_id": 99}, "image_id 99: no such image"),
    ],
)
def test_bad_coco_annotations_are_named(change, part, tmp_path):
    coco_roboflow(tmp_path)
    content = coco()
    content["annotations"][3] |= change
    (tmp_path / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    fails(tmp_path, "annotation 3", part)


def test_a_set_without_vocs_lists_says_which_splits_it_has(tmp_path):
    roboflow_voc(tmp_path)
    with pytest.raises(UserError, match=r"no split '2012/all' in this set; it has test, train, valid, all;"):
        VOC(root=str(tmp_path)).setup("fit")
    fails(tmp_path, "data.layout: there is no layout 'cocoa'; the nearest is coco", layout="cocoa")
