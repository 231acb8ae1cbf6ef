"""Every shipped recipe runs through fit and test, and every overlay is accepted."""

import json
from pathlib import Path

import pytest
import yaml

from lpflu_bench.cli import main
from lpflu_bench.studies.resolve import Resolver

ROOT = Path(__file__).parent.parent
RECIPES = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tasks").rglob("*.yaml"))
# One of each data module and kind of network; the others differ in the network's size and run on request.
QUICK = {
    "cifar100/regnety_800mf",
    "cityscapes/unet_resnet34",
    "imagenet/vit_tiny",
    "tiny_imagenet/resnet18",
    "voc/ssdlite320",
}
QUICK |= {"demo/classification", "demo/detection", "demo/segmentation"}
# Smaller images than the recipe's: what a step does is the same.
SMALL = {
    "cityscapes": ["--data.size", "[64, 128]", "--data.crop_size", "[64, 64]"],
    "voc": ["--data.image_size", "128"],
}
OVERLAYS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "configs").rglob("*.yaml") if "studies" not in p.parts)


@pytest.fixture(autouse=True)
def _in_the_clone(monkeypatch):
    monkeypatch.chdir(ROOT)


def task_of(recipe):
    return Path(recipe).parent.name


@pytest.fixture(scope="module")
def resolver():
    return Resolver()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_valid(recipe, resolver):
    config = resolver.resolve([recipe], {"model.activation": "lpflu"})
    assert config["model"]["init_args"]["activation"] == "lpflu"


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(
            recipe, marks=() if recipe.removeprefix("tasks/").removesuffix(".yaml") in QUICK else pytest.mark.slow
        )
        for recipe in RECIPES
    ],
)
def test_recipe_fits_and_tests(recipe, tmp_path):
    run = str(tmp_path / "run")
    arguments = ["--config", recipe, "--config", "configs/smoke.yaml", *SMALL.get(task_of(recipe), [])]
    arguments += ["--model.activation", "lpflu", "--run_dir", run]
    assert main(["fit", *arguments]) == 0
    assert main(["test", run]) == 0
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    (test,) = record["tested"]
    assert record["status"] == ("partial" if test["incomplete"] else "finished")  # two batches of the test set
    assert test["num_samples"] >= 1
    assert test["metrics"]
    assert test["outcomes"]
    assert record["trained"]["placement"]["replaced"] > 0


@pytest.mark.parametrize("overlays", [["bf16", "channels_last"], pytest.param(["compile"], marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_every_task_runs_in_every_way_of_running_it(task, overlays, tmp_path):
    ways = [f"configs/{overlay}.yaml" for overlay in overlays]
    files = [f"tasks/demo/{task}.yaml", "configs/smoke.yaml", *ways]
    arguments = [argument for file in files for argument in ("--config", file)]
    run = tmp_path / "run"
    assert main(["fit", *arguments, "--model.activation", "lpflu", "--run_dir", str(run)]) == 0
    assert main(["test", str(run)]) == 0
    trained = json.loads((run / "record.json").read_text())["trained"]
    assert trained["precision"] == ("bf16-mixed" if "bf16" in overlays else "32-true")
    for way in ways:
        for key, value in yaml.safe_load((ROOT / way).read_text()).get("model", {}).get("init_args", {}).items():
            assert trained["config"]["model"]["init_args"][key] == value


@pytest.mark.parametrize("way", [["--config", "configs/fp16.yaml"], ["--trainer.precision", "16"]])
def test_float16_on_a_cpu_is_refused_in_one_line(way, tmp_path, capsys):
    arguments = ["--config", "tasks/demo/classification.yaml", "--config", "configs/smoke.yaml"]
    assert main(["fit", *arguments, *way, "--run_dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("lpflu-bench: error: ")
    assert "\n" not in error


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_begins_with_its_command_line(recipe):
    text = (ROOT / recipe).read_text()
    assert text.startswith(f"# lpflu-bench fit --config {recipe} ")
    assert set(yaml.safe_load(text)) == {"task", "seed_everything", "model", "data", "trainer"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_begins_with_what_it_is_for_and_is_accepted(overlay, capsys):
    assert (ROOT / overlay).read_text().startswith("# ")
    with pytest.raises(SystemExit) as exited:
        main(["fit", "--config", "tasks/demo/classification.yaml", "--config", overlay, "--print_config"])
    assert exited.value.code == 0
    resolved = yaml.safe_load(capsys.readouterr().out)

    def contains(big, small):
        return all(contains(big[k], v) if isinstance(v, dict) else big[k] == v for k, v in small.items())

    assert contains(resolved, yaml.safe_load((ROOT / overlay).read_text()))
