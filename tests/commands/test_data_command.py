"""`lpflu-bench data check`."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

import lpflu_bench.data
from lpflu_bench.cli import main
from lpflu_bench.commands.data import KINDS

NAMES = ("ant", "bee")


def save(path, seed, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    for number, split in enumerate(("train", "test")):
        for i, name in enumerate(NAMES):
            save(tmp_path / "data" / split / name / "0.png", seed=2 * number + i, size=(8, 8))
    return tmp_path / "data"


@pytest.fixture
def boxes(tmp_path):
    """Three images with a box each in training, two in test, as YOLO has them."""
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            path = tmp_path / "boxes" / split / f"{i}.png"
            save(path, seed=len(split) * 10 + i)
            path.with_suffix(".txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "boxes" / "data.yaml").write_text("names: [cat]\n")
    return tmp_path / "boxes"


@pytest.fixture
def check(tmp_path, capsys):
    """Run a check; returns its exit status, its JSON, and what it printed on stderr."""

    def run(*arguments):
        status = main(["data", "check", *map(str, arguments), "--out", str(tmp_path / "out")])
        report = json.loads((tmp_path / "out" / "data.json").read_text())
        assert (tmp_path / "out" / "index.html").read_text().startswith("<!doctype html>")
        return status, report, capsys.readouterr().err

    return run


DETECTION = ("detection_folder", "--data.batch_size", "1", "--data.image_size", "32", "--data.root")


def test_whole_set(folder, check):
    status, report, _ = check("image_folder", "--data.root", folder, "--data.batch_size", 2)
    assert status == 0
    assert report["class_names"] == list(NAMES)
    assert report["splits"]["training"]["classes"] == {"ant": 1, "bee": 1}
    assert report["splits"]["test"]["image_sizes"] == {"8x8": 2}
    assert report["findings"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_missing_set_says_what_is_expected_in_one_line(kind, tmp_path, check):
    (tmp_path / "empty").mkdir()
    status, report, error = check(kind, "--data.root", tmp_path / "empty")
    assert status == 1
    assert report["findings"][0]["level"] == "error"
    assert getattr(lpflu_bench.data, KINDS[kind][0]).layout in error
    assert str(tmp_path) in error
    assert error.count("\n") == 1


def test_another_number_of_images_than_the_official_set(check):
    status, report, error = check("cifar10", "--data.root", "embedded")
    assert status == 0
    assert report["splits"]["training"]["images"] == 4000
    assert "the official set has 50,000 training and 10,000 test images" in error


def test_boxes_are_counted_and_drawn(boxes, check, tmp_path):
    status, report, _ = check(*DETECTION, boxes)
    assert status == 0
    part = report["splits"]["training"]
    assert part["classes"] == {"cat": 3}
    assert part["image_sizes"] == {"40x30": 3}
    assert part["box_sides"]["median"] == 15
    assert (tmp_path / "out" / "index.html").read_text().count("data:image/jpeg;base64,") == 5


def test_leakage_repeated_images_and_backgrounds_are_found(boxes, check):
    for name in ("val/0", "train/2"):
        (boxes / f"{name}.png").write_bytes((boxes / "train" / "0.png").read_bytes())
    (boxes / "train" / "1.txt").unlink()
    status, report, error = check(*DETECTION, boxes)
    assert status == 0
    assert report["splits"]["training"]["without_labels"] == 1
    assert "leakage: the same image in the training and the test set (1x" in error
    assert "training: images that are there more than once (1x" in error


def test_all_unreadable_images_are_named_at_once(boxes, check):
    for name in ("train/0", "val/1"):
        path = boxes / f"{name}.png"
        path.write_bytes(path.read_bytes()[:1000])
    status, report, _ = check(*DETECTION, boxes)
    assert status == 1
    errors = [finding["text"] for finding in report["findings"] if finding["level"] == "error"]
    assert [str(boxes / "train" / "0.png") in errors[0], str(boxes / "val" / "1.png") in errors[1]] == [True, True]


def test_what_is_odd_is_counted(boxes, check):
    Image.fromarray(np.full((30, 40), 4000, np.uint16)).save(boxes / "train" / "0.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(boxes / "train" / "1.png", exif=exif)
    (boxes / "train" / "2.txt").write_text("0 0.5 0.5 0.5 0.5\n0 0.1 0.1 0.0 0.2\n0 0.5 0.5 0.01 0.2\n")
    status, report, error = check(*DETECTION, boxes)
    assert status == 0
    part = report["splits"]["training"]
    assert part["bit_depths"] == {"8": 2, "16": 1}
    assert part["exif_orientations"] == {"1": 2, "6": 1}
    for text in ("12 bits or fewer", "box without area", "less than a pixel wide", "the high byte is used"):
        assert text in error


def test_unknown_labels_are_found(tmp_path, check):
    for split in ("train", "val"):
        save(tmp_path / "s" / split / "images" / "a.png", seed=len(split))
        mask = tmp_path / "s" / split / "masks" / "a.png"
        mask.parent.mkdir(parents=True)
        Image.fromarray(np.resize(np.array([0, 1, 2], np.uint8), (30, 40))).save(mask)
    options = ["segmentation_folder", "--data.root", tmp_path / "s", "--data.batch_size", 1, "--data.labels"]
    status, report, _ = check(*options, "{classes: {a: 0, b: [1, 2]}}")
    assert status == 0
    assert report["splits"]["test"]["classes"] == {"a": 400, "b": 800}
    status, report, _ = check(*options, "{classes: {a: 0, b: 1}}")
    assert status == 1
    assert "label id 2 is not in the label table" in report["findings"][0]["text"]


def test_a_recipe_and_its_options(boxes, check, tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("data: {init_args: {batch_size: 1, image_size: 64}}\n")
    recipe = ["--config", "tasks/demo/detection.yaml", "--config", overlay, "--data", "DetectionFolder"]
    status, report, _ = check(*recipe, "--data.classes", "[cat]", "--data.root", boxes)
    assert (status, report["class_names"]) == (0, ["cat"])


@pytest.mark.parametrize(
    ("described", "fit"),
    [
        (["detection_folder"], "--config tasks/voc/ssdlite320.yaml --data DetectionFolder{} --model.num_classes 1"),
        (
            ["--data", "DetectionFolder"],
            "--config tasks/voc/ssdlite320.yaml --data DetectionFolder{} --model.num_classes 1",
        ),
        (["--config", "tasks/demo/detection.yaml", "--data", "DetectionFolder"], None),
    ],
)
def test_the_next_command_is_the_fit_of_this_data(described, fit, boxes, capsys, tmp_path):
    options = f" --data.root {boxes} --data.batch_size 1 --data.image_size 32"
    if fit is None:
        options = f" --data.classes '[cat]'{options}"
        fit = "--config tasks/demo/detection.yaml --data DetectionFolder{} --model.num_classes 1"
    assert main(["data", "check", *described, *shlex.split(options), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next: lpflu-bench fit {fit.format(options)}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["voc", "--data.rot", "x"], "unknown key 'rot'"),
        (["vok"], "there is no kind 'vok'"),
        ([], "name the data"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_command_lines_are_one_line(arguments, message, capsys):
    assert main(["data", "check", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_data_module_that_says_what_it_needs(kind):
    assert getattr(lpflu_bench.data, KINDS[kind][0]).layout
