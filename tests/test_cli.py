"""The command as its user meets it: what it refuses, what it leaves on disk, what it must not import."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import yaml

from lpflu_bench.cli import COMMANDS, main
from lpflu_bench.outcomes import load_outcomes
from lpflu_bench.record_files import read_record

RECIPE = "tasks/demo/classification.yaml"
SMOKE = ["--config", RECIPE, "--config", "configs/smoke.yaml"]


def cli(*arguments, capsys):
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run, trained and tested by the command."""
    run = tmp_path_factory.mktemp("runs") / "lpflu-seed0"
    watched = ["--diagnostics.every", "1"]
    assert main(["fit", *SMOKE, *watched, "--model.activation", "lpflu", "--run_dir", str(run)]) == 0
    assert main(["test", *SMOKE, "--model.activation", "lpflu", "--ckpt_path", str(run / "checkpoints/last.ckpt")]) == 0
    return run


def refused(capsys, *arguments):
    """Return the one line that a refused command prints."""
    status, _, err = cli(*arguments, capsys=capsys)
    lines = [line for line in err.splitlines() if line.startswith("lpflu-bench: error: ")]
    assert status == 2
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def test_fit_and_test_leave_one_finished_record(trained):
    record = json.loads((trained / "record.json").read_text())
    assert record["status"] == "partial"  # two batches of the test set
    fit, (test,) = record["trained"], record["tested"]
    assert (fit["task"], fit["kind"], fit["network"]) == ("demo-classification", "classification", "resnet8")
    assert (fit["activation"], fit["seed"]) == ("lpflu", 0)
    assert set(test["metrics"]) == {score["name"] for score in record["scores"]}
    assert (test["num_samples"], test["incomplete"]) == (4, "4 of 1000 test samples")
    assert (fit["steps"], fit["incomplete"]) == (2, None)
    assert fit["images_per_second"] > 0
    assert test["images_per_second"] > 0
    assert fit["peak_memory_mb"] > 0
    assert fit["parameters"] == sum(
        v.numel()
        for k, v in torch.load(trained / "checkpoints/last.ckpt", weights_only=True)["state_dict"].items()
        if k.startswith("network.")
        and not k.endswith(("running_mean", "running_var", "num_batches_tracked", "slope", "slope_average"))
    )
    assert fit["placement"]["slopes"]["ema"] > 0
    assert set(fit["diagnostics"]) == {"dead_units", "saturation", "mean_slope", "gradient_norm"}
    assert "diagnostics" not in fit["config"]  # watching makes no other run of it
    assert (trained / "fit" / "diagnostics.csv").exists()
    assert fit["config"]["model"]["init_args"]["activation"] == "lpflu"
    assert fit["config_hash"]
    assert fit["environment"]["torch"]
    assert [point["epoch"] for point in fit["curve"]] == [1]
    assert {"train_loss", "val_loss", "val_top1_error"} <= set(fit["curve"][0])


def test_a_test_needs_nothing_but_the_run_s_folder(tmp_path, capsys):
    """What was trained with SGD in bfloat16 at batch 2 is recorded as that, whatever the test says."""
    run = tmp_path / "run"
    recipe = ["--config", RECIPE, "--config", "configs/smoke.yaml", "--config", "configs/sgd.yaml"]
    assert main(["fit", *recipe, "--trainer.precision", "bf16-mixed", "--run_dir", str(run)]) == 0
    trained = read_record(run / "record.json")["trained"]
    moved = run.rename(tmp_path / "moved")
    options = ["--trainer.limit_test_batches", "1.0", "--data.batch_size", "50"]
    noise = ["--data.test_noise.kind", "gaussian", "--data.test_noise.strength", "0.1"]
    assert main(["test", str(moved), *options]) == 0
    assert main(["test", str(moved), *options, *noise]) == 0
    record = read_record(moved / "record.json")
    assert record["status"] == "finished"
    assert record["trained"] == trained
    assert (trained["optimizer"], trained["precision"], trained["batch_size"]) == ("SGD", "bf16-mixed", 2)
    clean, noisy = record["tested"]
    assert (clean["num_samples"], clean["batch_size"], clean["conditions"]) == (1000, 50, {})
    assert noisy["conditions"] == {"data.test_noise": {"kind": "gaussian", "strength": 0.1}}
    for test in record["tested"]:
        outcomes = load_outcomes(moved / "record.json", test)
        for name in ("top1_error", "top5_error"):
            assert outcomes.resample(name, np.ones(1000))[0] == test["metrics"][name]
    capsys.readouterr()
    before = (moved / "record.json").read_bytes()
    for option, value, told in (
        ("trainer.max_epochs", "7", "1"),
        ("model.optimizer.lr", "0.5", "0.2"),
        ("model.schedule.final_factor", "0.5", "0.01"),
        ("data.augmentation", "none", "'jitter_flip'"),
        ("trainer.precision", "32-true", "'bf16-mixed'"),
    ):
        line = refused(capsys, "test", moved, f"--{option}", value)
        assert f"{option} is" in line
        assert f"{told} in the checkpoint" in line
    assert (moved / "record.json").read_bytes() == before
    assert "no run folder" in refused(capsys, "test", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "has no checkpoints/last.ckpt" in refused(capsys, "predict", tmp_path / "empty")


def test_each_command_has_its_own_folder(trained):
    assert yaml.safe_load((trained / "fit/config.yaml").read_text())["ckpt_path"] is None
    assert yaml.safe_load((trained / "test/config.yaml").read_text())["ckpt_path"].endswith("last.ckpt")
    assert "train_loss" in (trained / "fit/metrics.csv").read_text()  # still there after `test`


def test_a_saved_config_is_a_command(trained, tmp_path):
    assert main(["fit", "--config", str(trained / "fit/config.yaml"), "--run_dir", str(tmp_path / "again")]) == 0
    first, again = (
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in (trained, tmp_path / "again")
    )
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_a_run_is_not_written_over(trained, capsys):
    line = refused(capsys, "fit", *SMOKE, "--model.activation", "lpflu", "--run_dir", trained)
    assert "already holds a run" in line
    assert "--ckpt_path last" in line


def test_test_without_a_checkpoint_is_refused(trained, capsys):
    assert "`lpflu-bench test RUN_FOLDER`" in refused(capsys, "test", *SMOKE, "--run_dir", trained)


def test_a_flag_that_contradicts_the_checkpoint_is_refused(trained, capsys):
    checkpoint = trained / "checkpoints/last.ckpt"
    before = (trained / "record.json").read_bytes()
    line = refused(capsys, "test", *SMOKE, "--model.activation", "mish", "--ckpt_path", checkpoint)
    assert "model.activation is 'mish' here, 'lpflu' in the checkpoint" in line
    line = refused(
        capsys, "test", *SMOKE, "--model.activation", "lpflu", "--model.network", "resnet14", "--ckpt_path", checkpoint
    )
    assert "model.network is 'resnet14' here, 'resnet8' in the checkpoint" in line
    line = refused(
        capsys, "fit", *SMOKE, "--model.activation", "lpflu", "--model.optimizer.lr", "0.5", "--ckpt_path", checkpoint
    )
    assert "model.optimizer.lr is 0.5 here, 0.01 in the checkpoint" in line
    line = refused(
        capsys, "test", *SMOKE, "--model.activation", "lpflu", "--seed_everything", "3", "--ckpt_path", checkpoint
    )
    assert "seed_everything is 3 here, 0 in the checkpoint" in line
    assert (trained / "record.json").read_bytes() == before


def test_resume_goes_on_in_the_same_run(trained, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = [*SMOKE, "--model.activation", "lpflu", "--run_dir", str(run)]
    assert main(["fit", *arguments]) == 0
    assert main(["fit", *arguments, "--trainer.max_epochs", "2", "--ckpt_path", "last"]) == 0
    record = json.loads((run / "record.json").read_text())
    assert [point["epoch"] for point in record["trained"]["curve"]] == [1, 2]
    assert record["trained"]["resumed"] == 1
    first, second = record["trained"]["sessions"]
    assert record["trained"]["started_at"] == first["started_at"] <= first["finished_at"] <= second["started_at"]
    assert second["finished_at"] == record["trained"]["finished_at"]
    assert (run / "fit" / "metrics.csv").exists()
    assert (run / "fit-2" / "metrics.csv").exists()
    straight = tmp_path / "straight"
    assert main(["fit", *arguments[:-1], str(straight), "--trainer.max_epochs", "2"]) == 0
    whole, resumed = (torch.load(r / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for r in (straight, run))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_files_that_are_no_checkpoint_are_refused(tmp_path, capsys):
    text = tmp_path / "x.ckpt"
    text.write_text("hello")
    assert "cannot be loaded as plain weights" in refused(capsys, "test", *SMOKE, "--ckpt_path", text)
    torch.save({"state_dict": {}}, text)
    assert "not a checkpoint written by" in refused(capsys, "test", *SMOKE, "--ckpt_path", text)
    torch.save({"callbacks": print}, text)  # not plain weights: code
    assert "cannot be loaded as plain weights" in refused(capsys, "test", *SMOKE, "--ckpt_path", text)
    assert "no such file" in refused(capsys, "test", *SMOKE, "--ckpt_path", tmp_path / "nowhere.ckpt")


@pytest.mark.parametrize(
    ("arguments", "key", "nearest"),
    [
        (["--model.actvation", "relu"], "actvation", " activation"),
        (["--trainer.max_epcohs", "3"], "max_epcohs", "max_epochs"),
        (["--data.bach_size", "3"], "bach_size", "batch_size"),
        (["--sed_everything", "3"], "sed_everything", "seed_everything"),
    ],
)
def test_an_unknown_key_is_one_line_with_the_nearest(capsys, arguments, key, nearest):
    line = refused(capsys, "fit", *SMOKE, *arguments)
    assert key in line
    assert nearest in line


def test_an_unknown_key_in_a_file_too(tmp_path, capsys):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("model:\n  init_args:\n    actvation: relu\n")
    line = refused(capsys, "fit", *SMOKE, "--config", overlay)
    assert "actvation" in line
    assert "activation" in line.replace("actvation", "")
    assert "nowhere.yaml" in refused(capsys, "fit", "--config", "nowhere.yaml")


def test_an_unknown_activation_is_one_line_with_the_nearest(capsys, tmp_path):
    line = refused(capsys, "fit", *SMOKE, "--model.activation", "lpful", "--run_dir", tmp_path / "run")
    assert "lpflu" in line
    assert not (tmp_path / "run").exists()


def test_data_missing_says_where_it_was_looked_for(tmp_path, capsys):
    line = refused(
        capsys,
        "fit",
        "--config",
        "tasks/cifar100/regnety_800mf.yaml",
        "--config",
        "configs/cpu.yaml",
        "--data.root",
        tmp_path / "nothing",
        "--run_dir",
        tmp_path / "run",
    )
    assert str(tmp_path / "nothing") in line


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        *(f"{name} --help" for name in COMMANDS),
        "activations",
    ],
)
def test_light_commands_do_not_import_torch(command):
    code = "\n".join(
        [
            "import sys; from lpflu_bench.cli import main",
            f"try: main({command.split()!r})",
            "except SystemExit: pass",
            "assert 'torch' not in sys.modules",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_public_option_names_are_frozen():
    """An option is a promise to users' files: a name that goes or comes changes this list on purpose."""
    import inspect

    from lpflu_bench.modules import ClassificationModule, WarmupDecayHold
    from lpflu_bench.modules.base import BenchModule

    def names(cls):
        return [p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "kwargs")]

    assert names(BenchModule) == [
        "activation",
        "ema_scope",
        "squeeze_excitation",
        "initializer",
        "init_from",
        "optimizer",
        "schedule",
        "channels_last",
        "compile",
        "cuda_graph",
        "test_attack",
    ]
    assert names(ClassificationModule) == ["network", "num_classes", "downsamplings", "label_smoothing"]
    assert names(WarmupDecayHold) == ["warmup_epochs", "decay_end_epoch", "final_factor"]


def test_a_warning_is_one_line_without_its_source(monkeypatch, capsys):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back after the test
    main(["activations"])
    line = warnings.formatwarning(UserWarning("two\n lines"), UserWarning, "somewhere.py", 7)
    assert line == "lpflu-bench: warning: two lines\n"
