"""`lpflu-bench data check`."""

import pytest
from PIL import Image

import lpflu_bench.data
from lpflu_bench.cli import main
from lpflu_bench.commands.data import KINDS


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            path = tmp_path / split / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(path)
    return tmp_path


def check(*arguments):
    return main(["data", "check", *map(str, arguments)])


def test_whole_set(folder, capsys):
    assert check("image_folder", "--data.root", folder) == 0
    out = capsys.readouterr().out
    assert "2 training and 2 test images" in out
    assert "2 classes: ant, bee" in out


@pytest.mark.parametrize("kind", KINDS)
def test_missing_set_says_what_is_expected_in_one_line(kind, tmp_path, capsys):
    assert check(kind, "--data.root", tmp_path) == 2
    error = capsys.readouterr().err.strip()
    assert getattr(lpflu_bench.data, KINDS[kind]).layout in error
    assert str(tmp_path) in error
    assert "\n" not in error


def test_another_number_of_images_than_the_official_set(capsys):
    assert check("cifar10", "--data.root", "embedded") == 1
    captured = capsys.readouterr()
    assert "4,000 training" in captured.out
    assert "the official set has 50,000 training and 10,000 test images" in captured.err


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_data_module_that_says_what_it_needs(kind):
    assert getattr(lpflu_bench.data, KINDS[kind]).layout
