"""`lpflu-bench deploy` of a trained run: its files, its rows in the record, its table; what it refuses."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lpflu_bench.cli import main

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TEST_IMAGES = 6


class Net(nn.Sequential):
    """Two convolutions, one activation."""

    def __init__(self, num_classes):
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, num_classes),
        )


def draw_images(root):
    draw = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", TEST_IMAGES // 2)):
        for number, name in enumerate(("dark", "light")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = draw.integers(0, 128, (16, 16, 3), dtype=np.uint8) + np.uint8(127 * number)
                Image.fromarray(pixels).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was fitted for two steps and tested."""
    root = tmp_path_factory.mktemp("deploy")
    draw_images(root / "images")
    run = root / "run"
    options = {
        "model.network": f"{__name__}.Net",
        "model.num_classes": 2,
        "model.activation": "lpflu",
        "data": "ImageFolder",
        "data.root": root / "images",
        "data.image_size": 16,
        "data.augmentation": "none",
        "trainer.limit_test_batches": 1.0,
        "run_dir": run,
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    assert main(["fit", "--config", "tasks/demo/classification.yaml", "--config", "configs/smoke.yaml", *words]) == 0
    assert main(["test", str(run)]) == 0
    return run


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("lpflu_bench.evaluation.deploy.usable_cores", lambda: 1)
    return shutil.copytree(trained, tmp_path / "run")


def deploy(run, *words):
    return main(["deploy", str(run), "--batch-size", "2", "--repeats", "1", "--calibration-images", "4", *words])


def record_of(run):
    return json.loads((run / "record.json").read_text())


def test_deploy_exports_scores_and_records_each_form_and_a_second_deploy_replaces_it(run, tmp_path, capsys):
    before = record_of(run)
    assert deploy(run, "--csv", str(tmp_path / "deployed.csv")) == 0

    digest = hashlib.blake2b((run / "checkpoints" / "last.ckpt").read_bytes(), digest_size=8).hexdigest()
    names = [f"exported/{digest}{ending}" for ending in (".pt2", ".onnx", ".int8.onnx")]
    assert sorted(str(path.relative_to(run)) for path in (run / "exported").iterdir()) == sorted(names)
    onnx.checker.check_model(run / names[1])

    record = record_of(run)
    deployed = record.pop("deployed")
    assert {**record, "hash": before["hash"]} == before
    forms = deployed["forms"]
    assert [(form["form"], form["file"]) for form in forms] == list(
        zip(("checkpoint", "onnx", "int8"), names, strict=True)
    )
    assert [form["bytes"] for form in forms] == [(run / name).stat().st_size for name in names]
    tested = before["tested"][0]["metrics"]
    for form in forms[:2]:  # the exported network is the checkpoint's
        assert form["scores"]["top1_error"] == tested["top1_error"]
        assert form["scores"]["nll"] == pytest.approx(tested["nll"], abs=1e-4)
    assert 0 < forms[2]["difference"] < 0.5
    assert list(forms[2]["signal_to_noise"]) == ["1"]
    for form in forms:
        assert {latency["batch_size"] for latency in form["latencies"]} == {1, 2}
        assert all(latency["seconds"]["median"] > 0 for latency in form["latencies"])
    assert deployed["settings"] == {"batch_size": 2, "calibration_images": 4, "repeats": 1}

    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.split()[:1] == ["lpflu"]]
    assert [row[1] for row in rows] == 2 * ["PyTorch", "ONNX", "INT8"]  # what is kept, then latency
    assert [row[3] for row in rows[:3]] == [f"{form['scores']['top1_error']:.2f}" for form in forms]
    assert printed.splitlines()[-1] == f"next: lpflu-bench report {run}"
    with (tmp_path / "deployed.csv").open() as stream:
        assert {row["form"] for row in csv.DictReader(stream)} == {"checkpoint", "onnx", "int8"}

    stamp = (run / "exported" / f"{digest}.onnx").stat().st_mtime_ns
    assert deploy(run) == 0  # measured like this already
    assert record_of(run)["deployed"] == deployed
    assert (run / "exported" / f"{digest}.onnx").stat().st_mtime_ns == stamp
    assert main(["deploy", str(run), "--batch-size", "3", "--repeats", "1", "--calibration-images", "4"]) == 0
    replaced = record_of(run)["deployed"]
    assert replaced["settings"]["batch_size"] == 3
    assert [form["form"] for form in replaced["forms"]] == ["checkpoint", "onnx", "int8"]
    assert {latency["batch_size"] for form in replaced["forms"] for latency in form["latencies"]} == {1, 3}


def test_a_checkpoint_of_another_versions_network(run, capsys):
    path = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["network.2.gain"] = checkpoint["state_dict"].pop("network.2.weight")
    torch.save(checkpoint, path)
    assert deploy(run) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"lpflu-bench: error: {path} does not fit the network that this version builds: ")
    assert '"network.2.weight"' in line
    assert line.endswith("train it again")
    assert not (run / "exported").exists()


@pytest.mark.parametrize("option", ["--batch-size", "--repeats", "--calibration-images"])
def test_a_number_below_one(option, tmp_path, capsys):
    assert main(["deploy", str(tmp_path), option, "0"]) == 2
    assert f"{option} must be at least 1, not 0" in capsys.readouterr().err
