import sys
from pathlib import Path

import pytest
import yaml

from lpflu_bench.cli import main
from lpflu_bench.errors import UserError
from lpflu_bench.identity import config_hash
from lpflu_bench.paths import resource_path
from lpflu_bench.studies.resolve import Resolver
from lpflu_bench.training.trackers import (
    build_tracker,
    continue_runs,
    end_runs,
    keep_runs,
    log_report,
    name_run,
    tracker_specs,
)

PACKAGES = {"tensorboard": "tensorboard", "trackio": "trackio", "mlflow": "mlflow", "wandb": "wandb"}
OVERLAYS = sorted(PACKAGES)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("WANDB_MODE", "offline")


def spec(name):
    return yaml.safe_load(resource_path(f"configs/loggers/{name}.yaml").read_text())["trainer"]["logger"]


@pytest.fixture(scope="module")
def resolver():
    return Resolver()


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_changes_how_a_run_is_logged_not_which_run_it_is(resolver, name):
    recipe = "tasks/demo/classification.yaml"
    plain, logged = (resolver.resolve([recipe, *more], {}) for more in ((), (f"configs/loggers/{name}.yaml",)))
    assert config_hash(plain) == config_hash(logged)
    (found,) = tracker_specs(logged["trainer"]["logger"])
    assert found["init_args"].items() >= spec(name)["init_args"].items()
    name_run(logged["trainer"]["logger"], "demo relu seed 0 fit")
    assert "demo relu seed 0 fit" in found["init_args"].values()
    name_run(logged["trainer"]["logger"], "another")  # a name that is set stays
    assert "another" not in found["init_args"].values()


@pytest.mark.parametrize("name", [n if n != "wandb" else pytest.param(n, marks=pytest.mark.slow) for n in OVERLAYS])
def test_a_tracker_takes_scores_and_a_studys_report(name, tmp_path):
    pytest.importorskip(PACKAGES[name])
    Path("index.html").write_text("<p>the page")
    Path("table.md").write_text("# the verdict")
    logger = build_tracker(spec(name), "relu seed 0")
    logger.log_hyperparams({"model": {"activation": "relu"}})
    logger.log_metrics({"val_loss": 1.0}, step=1)
    logger.finalize("success")
    end_runs()
    assert log_report(spec(name), "demo report", Path("index.html"), [Path("table.md")])
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != tmp_path]
    assert any(b"the verdict" in path.read_bytes() or path.name == "table.md" for path in kept) or name == "wandb"
    assert kept


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_later_command_goes_on_with_the_run_of_the_training(name):
    """What the training's logger calls its version is what the test's is told to go on with."""
    trained, later = spec(name), spec(name)
    name_run(trained, "demo relu seed 0 12345678")
    name_run(later, "another")
    started = type("Started", (), {"version": trained["init_args"].get("name") if name == "trackio" else "run-7"})()
    keep_runs(trained, [started])
    continue_runs(later, trained)
    assert later == trained
    assert name == "trackio" or "run-7" in later["init_args"].values()
    alone = spec(name)
    continue_runs(alone, None)  # trained without a tracker
    assert alone == spec(name)


def test_other_loggers_and_switches_are_no_trackers():
    csv = {"class_path": "pytorch_lightning.loggers.CSVLogger", "init_args": {"save_dir": "x"}}
    for setting in (None, True, False, csv, [csv], []):
        assert tracker_specs(setting) == []
    assert tracker_specs([csv, spec("wandb")]) == [spec("wandb")]


def test_wandb_is_not_given_the_setting_that_it_warns_of():
    pytest.importorskip("wandb")
    settings = build_tracker(spec("wandb"), "x")._wandb_init
    assert (settings["name"], "anonymous" in settings) == ("x", False)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(UserError, match=r"TrackioLogger needs .*pip install 'lpflu-bench\[loggers\]'"):
        build_tracker(spec("trackio"), "x")


@pytest.mark.slow
def test_fit_logs_to_a_tracker_and_to_its_own_file(tmp_path):
    pytest.importorskip("tensorboard")
    recipe, smoke = "tasks/demo/classification.yaml", "configs/smoke.yaml"
    files = [part for file in (recipe, smoke, "configs/loggers/tensorboard.yaml") for part in ("--config", file)]
    assert main(["fit", *files, "--run_dir", "run"]) == 0
    assert (tmp_path / "run" / "fit" / "metrics.csv").exists()
    assert list((tmp_path / "runs" / "tensorboard").rglob("events.*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", OVERLAYS)
def test_fit_and_test_are_one_run_of_the_tracker(name, tmp_path):
    pytest.importorskip(PACKAGES[name])
    files = ["--config", "tasks/demo/classification.yaml", "--config", "configs/smoke.yaml"]
    here = [] if name == "trackio" else [f"--trainer.logger.init_args.save_dir={tmp_path / 'runs' / name}"]
    for run in ("one", "two"):
        assert main(["fit", *files, "--config", f"configs/loggers/{name}.yaml", *here, "--run_dir", run]) == 0
        assert main(["test", run]) == 0
    configs = [yaml.safe_load(Path(run, "test/config.yaml").read_text()) for run in ("one", "two")]
    ids = [config["trainer"]["logger"]["init_args"] for config in configs]
    if name == "wandb":
        runs = {path.name.rpartition("-")[2] for path in tmp_path.rglob("offline-run-*") if path.is_dir()}
        assert runs == {each["id"] for each in ids}
        assert len(runs) == 2
    elif name == "tensorboard":
        logged = list(tmp_path.rglob("events.*"))
        assert len({path.parent for path in logged}) == 2 < len(logged)
    elif name == "mlflow":
        assert len({each["run_id"] for each in ids}) == 2
        assert len(list((tmp_path / "runs" / "mlflow").rglob("test_top1_error"))) == 2
        assert len(list((tmp_path / "runs" / "mlflow").glob("*/*/metrics"))) == 2
