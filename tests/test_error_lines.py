"""What the user can put right is one line that names the key or file; a fault of ours keeps its trace."""

import functools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning.loggers
import torch

from lpflu_bench.cli import main

FIT = ["fit", "--config", "tasks/demo/classification.yaml", "--config", "configs/smoke.yaml"]
FILES = {
    "tabs.yaml": "model:\n\tnetwork: resnet8\n",
    "syntax.yaml": "model: [resnet8\ndata: {a: b\n",
    "twice.yaml": "trainer:\n  max_epochs: 1\n  max_epochs: 2\n",
    "latin1.yaml": "task: für\n".encode("latin-1"),
    "empty.yaml": "# nothing but a comment\n",
    "text.yaml": "resnet8\n",
    "list.yaml": "- 1\n- 2\n",
    "optimizer.yaml": "model: {init_args: {optimizer: {class_path: torch.optim.Adamm}}}\n",
    "optimizer_key.yaml": "model: {init_args: {optimizer: {class_path: torch.optim.Adam, init_args: {lrr: 0.1}}}}\n",
    "callback.yaml": "trainer: {callbacks: [{class_path: EarlyStoping}]}\n",
    "callback_key.yaml": "trainer: {callbacks: [{class_path: Timer, init_args: {duraton: 1}}]}\n",
    "callback_value.yaml": "trainer: {callbacks: [{class_path: Timer, init_args: {duration: soon}}]}\n",
    "model_key.yaml": "model: {init_args: {netwrk: resnet8}}\n",
    "data_key.yaml": "data: {init_args: {batch_sise: 4}}\n",
    "data_value.yaml": "data: {init_args: {batch_size: many}}\n",
    "top_key.yaml": "modle: {init_args: {network: resnet8}}\n",
    "trainer_key.yaml": "trainer: {max_epoch: 1}\n",
    "activation_key.yaml": "model: {init_args: {activation: {class_path: lpflu, init_args: {slop: fixed}}}}\n",
    "activation_range.yaml": "model: {init_args: {activation: {class_path: lpflu, init_args: {lower: 0.5, upper: 0.1}}}}\n",
    "activation_path.yaml": "model: {init_args: {activation: {clas_path: lpflu}}}\n",
    "schedule.yaml": "model: {init_args: {schedule: {class_path: lpflu_bench.modules.WarmupDecayHold, "
    "init_args: {warmup_epochs: 5, decay_end_epoch: 2}}}}\n",
    "no_base.yaml": "base: tasks/nowhere.yaml\naxes: {activation: [relu]}\nmetrics: top1_error\nreference: relu\n",
    "wide.yaml": "base: tasks/demo/classification.yaml\naxes: {activation: [relu]}\nmetrics: top1_error\nreference: relu\n"
    "inference: {margin: 200}\n",
    "broken_functions.py": "def bent(x):\n    return x +\n",
    "functions.py": "from torch import nn\n\n\nclass Bent(nn.Module):\n    def __init__(self, power: float = 2):\n"
    "        super().__init__()\n        self.power = power\n\n"
    "    def forward(self, x):\n        return x * x.abs() ** (self.power - 1)\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of the user's, which is the current one."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "a_file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def refused(capsys, *arguments):
    """Return the only line on stderr of a command that is refused."""
    status, _, err = run(capsys, *arguments)
    assert status not in (0, None), err
    assert err.count("\n") == 1, err
    assert err.startswith("lpflu-bench: error: "), err
    return err


# Of a line: what is given beside FIT, and what the message must say.
CONFIGURATIONS = [
    ("--config tabs.yaml", r"tabs.yaml, line 2, column 1: a tab; indent with spaces"),
    ("--config syntax.yaml", r"syntax.yaml, line 2"),
    ("--config twice.yaml", r"twice.yaml, line 3.*'max_epochs' is given twice, in line 2"),
    ("--config latin1.yaml", r"latin1.yaml: not a text file in UTF-8"),
    ("--config empty.yaml", r"empty.yaml: the file is empty"),
    ("--config text.yaml", r"text.yaml: must hold settings"),
    ("--config list.yaml", r"list.yaml: must hold settings"),
    ("--model twice.yaml", r"twice.yaml, line 3.*'max_epochs' is given twice, in line 2"),
    ("--config nowhere.yaml", r"nowhere.yaml does not exist"),
    ("--config .", r"cannot be read: Is a directory"),
    ("--config", r"--config needs a value"),
    ("--config optimizer.yaml", r"model.optimizer: .*'Adamm'; the nearest are Adam"),
    ("--config optimizer_key.yaml", r"model.optimizer: unknown key 'lrr'; the nearest is lr"),
    ("--config callback.yaml", r"trainer.callbacks: .*'EarlyStoping'; the nearest (is|are) EarlyStopping"),
    ("--config callback_key.yaml", r"trainer.callbacks: unknown key 'duraton'; the nearest are duration"),
    ("--config callback_value.yaml", r"Timer: .*soon"),
    ("--config model_key.yaml", r"model: unknown key 'netwrk'; the nearest is network"),
    ("--config data_key.yaml", r"data: unknown key 'batch_sise'; the nearest are batch_size"),
    ("--config data_value.yaml", r"data.batch_size: must be a whole number, not 'many'"),
    ("--config top_key.yaml", r"unknown key 'modle'; the nearest are model"),
    ("--config trainer_key.yaml", r"unknown key '(trainer.)?max_epoch'; the nearest are trainer.max_epochs"),
    ("--config activation_key.yaml", r"model.activation: lpflu: slop is no setting of it; the nearest is slope"),
    ("--config activation_range.yaml", r"model.activation: upper must be in \(lower, 1\), got 0.1"),
    ("--config activation_path.yaml", r"activation: no class_path"),
    ("--config schedule.yaml", r"schedule: 0 <= warmup_epochs < decay_end_epoch is needed, got 5.0 and 2.0"),
    ("--model.activation", r"--model.activation needs a value"),
    ("--model.activation --task x", r"--model.activation needs a value"),
    ("--model.activation rleu", r"'rleu' is unknown; the nearest are .*relu"),
    ("--model.activation functions.Bend", r"functions has no 'Bend'; the nearest is Bent"),
    ("--model.activation functions.py:Bend", r"functions.py has no 'Bend'"),
    ("--model.activation nowhere.py:Bent", r"there is no file .*nowhere.py"),
    ("--model.activation broken_functions.py:bent", r"SyntaxError: invalid syntax \(.*broken_functions.py, line 2\)"),
    ("--model.activation functions.py:Bent --model.activation.pover 3", r"model.activation: .*'pover'"),
    ("--model.activation.slope diagonal --model.activation lpflu", r"model.activation: .*diagonal"),
    ("--model.optimizer.lr x", r"model.optimizer.lr: must be a number, not 'x'"),
    ("--model.optimizer.lr -1", r"Adam: Invalid learning rate: -1"),
    ("--model.optimizer.betas 1", r"model.optimizer.betas: must be a list"),
    ("--model.optimizer SGD --model.optimizer.momentum -1", r"SGD: Invalid momentum value: -1"),
    ("--model.schedule StepLR", r"model.schedule: missing: step_size"),
    ("--model.schedule ReduceLROnPlateau", r"write one of .*pytorch_lightning.cli.ReduceLROnPlateau"),
    (
        "--model.schedule pytorch_lightning.cli.ReduceLROnPlateau --model.schedule.monitor val_top1",
        r"model.schedule: monitor 'val_top1' is not a logged score; the nearest are val_top1_error",
    ),
    (
        "--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val_los",
        r"EarlyStopping: monitor 'val_los' is not",
    ),
    ("--model.optimizer SparseAdam", r"model.optimizer: SparseAdam .*does not support dense gradients"),
    (
        "--model.schedule CosineAnnealingLR --model.schedule.T_max 0",
        r"model.schedule: CosineAnnealingLR cannot take a step: .* by zero; change its settings",
    ),
    ("--model.network vit_b_16", r"does not take images of 32 x 32 pixels.*Expected 224 but got 32.*model.network"),
    ("--model.num_classes 7", r"the data has 10 classes, the network 7: pass --model.num_classes 10"),
    ("--model.num_classes 0", r"num_classes"),
    ("--model.network resnt8", r"unknown network 'resnt8'; the nearest are resnet8"),
    ("--model ClasificationModule", r"model: there is no class 'ClasificationModule'; the nearest are Classif"),
    ("--model.initializer xavier", r"model.initializer: xavier is none of xavier_uniform, "),
    ("--model.compile maybe", r"model.compile: must be true or false, not 'maybe'"),
    ("--data CIFAR11", r"data: there is no class 'CIFAR11'; the nearest are CIFAR10"),
    ("--data.batch_size 0", r"data.batch_size is 0: it must be at least 1"),
    ("--data.test_batch_size 0", r"data.test_batch_size is 0"),
    ("--data.batch_size 100000", r"data.batch_size: .*at most 4000"),
    ("--data.num_workers -1", r"data.num_workers is -1: it must be at least 0"),
    ("--data.seed -1", r"data.seed is -1"),
    ("--data.val_fraction 1.5", r"data.val_fraction is 1.5: it must be at least 0 and below 1"),
    ("--data.val_fraction .nan", r"data.val_fraction is nan"),
    ("--data.jitter.hue 2", r"jitter.hue is 2"),
    ("--data.jitter.huee 2", r"data: unknown key 'jitter.huee'"),
    ("--data.train_noise.kind pepper", r"data.train_noise.kind: pepper is none of gaussian"),
    ("--data.root nowhere --data CIFAR10", r"data.root: there is no folder nowhere"),
    ("--weight_ema.decay 2", r"weight_ema.decay"),
    ("--weight_ema.dcay 0.5", r"unknown key 'weight_ema.dcay'; the nearest are weight_ema.decay"),
    ("--diagnostics.every 0", r"diagnostics.every"),
    ("--seed_everything -1", r"seed_everything is -1: it must be at least 0"),
    ("--seed_everything true", r"seed_everything must be a whole number"),
    ("--seed_everything one", r"seed_everything: must be"),
    ("--trainer.accelerator gpu", r"trainer: there is no GPU here: pass --trainer.accelerator cpu"),
    ("--config configs/gpu.yaml", r"trainer: there is no GPU here: pass --trainer.accelerator cpu"),
    ("--trainer.accelerator quantum", r"trainer: .*quantum"),
    ("--trainer.devices 0", r"trainer: .*devices"),
    ("--trainer.devices many", r"trainer: .*devices.* should be an int > 0"),
    ("--trainer.strategy ddpp", r"trainer: .*ddpp"),
    ("--trainer.precision 12", r"trainer.precision: 12 is none of 64, 32, 16"),
    ("--trainer.precision 16-mixed", r"--trainer.precision 16-mixed is not supported on this device"),
    ("--trainer.profiler quick", r"trainer: .*profiler.*only be one of"),
    ("--trainer.max_epochs 0", r"trainer.max_epochs is 0: it must be at least 1"),
    ("--trainer.max_epochs -2", r"trainer.max_epochs is -2"),
    ("--trainer.max_steps 0", r"trainer.max_steps is 0"),
    ("--trainer.max_epochs 1.5", r"trainer.max_epochs: must be a whole number, not '1.5'"),
    ("--trainer.limit_train_batches 0", r"trainer.limit_train_batches is 0: it must be above 0"),
    ("--trainer.limit_train_batches -1", r"trainer.limit_train_batches is -1"),
    ("--trainer.limit_val_batches -1", r"trainer: .*limit_val_batches"),
    ("--trainer.val_check_interval 0", r"trainer.val_check_interval is 0"),
    ("--trainer.accumulate_grad_batches 0", r"trainer.accumulate_grad_batches is 0"),
    ("--trainer.gradient_clip_val -1", r"trainer.gradient_clip_val is -1"),
    ("--trainer.gradient_clip_algorithm nom --trainer.gradient_clip_val 1", r"trainer: .*nom"),
    ("--trainer.max_time soon", r"trainer.*soon"),
    ("--trainer.max_epoch 1", r"unknown key 'trainer.max_epoch'; the nearest are trainer.max_epochs"),
    ("--conf x.yaml", r"unknown key 'conf'; the nearest are config"),
    ("--run_dir a_file", r"cannot write --run_dir a_file: "),
    ("--run_dir a_file/below", r"cannot write --run_dir a_file/below: "),
    ("--ckpt_path nowhere.ckpt", r"--ckpt_path nowhere.ckpt: no such file"),
    ("stray", r"stray"),
]


@pytest.mark.parametrize(("line", "message"), CONFIGURATIONS, ids=lambda value: value[:60].replace("/", "."))
def test_a_wrong_configuration_is_one_line(folder, capsys, line, message):
    before = sorted(folder.rglob("*"))
    arguments = line.split()
    err = refused(capsys, *FIT, *([] if "--run_dir" in arguments else ["--run_dir", "out/run"]), *arguments)
    assert re.search(message, err), err
    left = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    assert sorted(left) == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian", "unknown command 'trian'"),
        ("activatons", "the nearest is activations"),
        ("report nowhere", "nowhere does not exist"),
        ("study plan tabel1", "no study 'tabel1'; the nearest are table1"),
        ("study paln table1", "unknown action 'paln'; the nearest is plan"),
        ("study plan", "required: study"),
        ("study run .", ". is a folder; give the path of a study file in it"),
        ("study plan wide.yaml", "study wide: inference.margin: 200 is no less than the whole range of top-1 error"),
        ("study plan demo --seed 1", "unknown argument '--seed'; the nearest are --seeds"),
        ("study plan demo --only activation=rleu", "no value 'rleu'; the nearest are relu"),
        ("study plan demo --only actvation=relu", "no axis 'actvation'; the nearest is activation"),
        ("study plan demo --set model.init_args.foo=1", "unknown key 'foo'"),
        ("study plan demo --seeds a,b", "seeds 'a,b'"),
        ("study plan syntax.yaml", "syntax.yaml, line 2"),
        ("study plan twice.yaml", "'max_epochs' is given twice"),
        ("study plan no_base.yaml", "study no_base: base: tasks/nowhere.yaml does not exist"),
        ("study plan latin1.yaml", "latin1.yaml: not a text file in UTF-8"),
        ("study plan empty.yaml", "empty.yaml: the file is empty"),
        ("activations zzz*", "no activation function matches 'zzz*'"),
        ("activations relu --plot x.foo", "x.foo"),
        ("activations relu --plot a_file/x.png", "a_file/x.png"),
        ("activations relu --csv x", "unknown argument '--csv'"),
        ("speed --functions rleu --shape 2 2 --repeats 1", "'rleu' is unknown; the nearest are"),
        ("speed --functions relu --shape -1", "--shape must be positive numbers"),
        ("speed --functions relu --shape 8 --dtypes float99", "unknown dtype 'float99'"),
        ("speed --functions relu --shape 8 --device quantum", "--device quantum"),
        ("speed --network resnt18", "unknown network 'resnt18'"),
        ("data check voc --data.root nothing", "data.root: there is no folder nothing"),
        ("data check voc", "--data.root DIR"),
        ("data check vco --data.root .", "no kind 'vco'; known are cifar100"),
        ("demo --worker 1", "unknown argument '--worker'; the nearest is --workers"),
        ("demo --workers x", "--workers"),
    ],
)
def test_a_wrong_command_line_is_one_line(folder, capsys, line, message):
    assert message in refused(capsys, *line.split())


def test_predict_without_a_checkpoint_is_one_line(folder, capsys):
    assert "`predict` needs a trained run" in refused(capsys, "predict", *FIT[1:])


@pytest.mark.parametrize("logger", ["WandbLogger", "MLFlowLogger"])
def test_a_logger_that_is_not_installed_names_the_extra(folder, capsys, logger, monkeypatch):
    @functools.wraps(getattr(pytorch_lightning.loggers, logger).__init__)
    def missing(*_, **__):
        raise ModuleNotFoundError("Requirement not met")

    monkeypatch.setattr(getattr(pytorch_lightning.loggers, logger), "__init__", missing)
    line = refused(capsys, *FIT, "--run_dir", "run", f"--trainer.logger={logger}")
    assert "Logger is not installed: pip install 'lpflu-bench[loggers]'" in line


def test_wandb_without_a_key_is_one_line(folder, capsys, monkeypatch):
    import pytorch_lightning.loggers.csv_logs as csv_logs

    def refuse(*_, **__):
        raise RuntimeError("No API key configured. Use `wandb login` to log in.")

    monkeypatch.setattr(csv_logs.CSVLogger, "log_hyperparams", refuse)
    line = refused(capsys, *FIT, "--run_dir", "run", "--trainer.logger=CSVLogger", "--trainer.logger.save_dir=logs")
    assert "trainer.logger: W&B has no API key: run `wandb login`, or set WANDB_MODE=offline" in line


def test_a_fault_of_ours_keeps_its_trace(folder, monkeypatch):
    from lpflu_bench.modules.classification import ClassificationModule

    def broken(*_, **__):
        raise RuntimeError("a fault")

    monkeypatch.setattr(ClassificationModule, "training_step", broken)
    with pytest.raises(RuntimeError, match="a fault"):
        main([*FIT, "--run_dir", "run"])


def test_ctrl_c_says_how_to_resume(folder, capsys, monkeypatch):
    from lpflu_bench.callbacks.record import RunRecord
    from lpflu_bench.record_files import read_record

    start = RunRecord.on_train_epoch_start

    def interrupted(self, trainer, pl_module):
        start(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            signal.raise_signal(signal.SIGINT)

    # A process in the background ignores the signal.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        arguments = [*FIT, "--run_dir", "run", "--trainer.max_epochs", "2"]
        with monkeypatch.context() as patched:
            patched.setattr(RunRecord, "on_train_epoch_start", interrupted)
            status, _, err = run(capsys, *arguments)
    finally:
        signal.signal(signal.SIGINT, earlier)
    resume = "to resume, give the same command with --run_dir run --ckpt_path last"
    assert (status, err) == (130, f"lpflu-bench: interrupted: {resume}\n")
    record = read_record(Path("run/record.json"))
    assert (record["status"], record["trained"]["incomplete"]) == ("interrupted", "1 of 2 epochs")
    assert run(capsys, *arguments, "--ckpt_path", "last")[0] == 0
    assert read_record(Path("run/record.json"))["trained"]["resumed"] == 1


def test_windows_is_told_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert "on Windows, run it in WSL" in refused(capsys, "activations")


def test_a_full_disk_is_one_line(folder, capsys, monkeypatch):
    import errno

    from lpflu_bench.commands import activations

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.csv")

    monkeypatch.setattr(activations, "run", full)
    assert "x.csv: No space left on device" in refused(capsys, "activations")


# --- what works --------------------------------------------------------------------------------------------------------


def resolved(capsys, *arguments):
    import yaml

    with pytest.raises(SystemExit) as exited:
        main([*arguments, "--print_config"])
    assert exited.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_a_flag_wins_over_every_file_wherever_it_stands(folder, capsys):
    given = resolved(capsys, "fit", "--trainer.max_epochs", "7", *FIT[1:])
    assert given["trainer"]["max_epochs"] == 7
    given = resolved(capsys, "fit", "--model.activation=silu", "--config", FIT[2], "--model.compile", "true")
    assert given["model"]["init_args"]["activation"] == "silu"
    assert given["model"]["init_args"]["compile"] is True


@pytest.mark.parametrize(
    ("flags", "activation"),
    [
        (["--model.activation.class_path", "lpflu"], "lpflu"),
        (
            ["--model.activation=lpflu", "--model.activation.init_args.slope=fixed"],
            {"class_path": "lpflu", "init_args": {"slope": "fixed"}},
        ),
        (
            ["--model.activation.slope", "fixed", "--model.activation.class_path", "lpflu"],
            {"class_path": "lpflu", "init_args": {"slope": "fixed"}},
        ),
        (
            ["--config", "activation_range.yaml", "--model.activation.lower", "0"],
            {"class_path": "lpflu", "init_args": {"lower": 0, "upper": 0.1}},
        ),
        (["--config", "activation_range.yaml", "--model.activation", "gelu"], "gelu"),
        (
            ["--model.activation", "functions.py:Bent", "--model.activation.init_args.power", "3"],
            {"class_path": "functions.py:Bent", "init_args": {"power": 3}},
        ),
    ],
)
def test_settings_of_an_activation_by_flag(folder, capsys, flags, activation):
    assert resolved(capsys, *FIT, *flags)["model"]["init_args"]["activation"] == activation


@pytest.mark.parametrize("name", ["functions.Bent", "functions.py:Bent"])
def test_a_file_of_the_users_needs_no_pythonpath(folder, capsys, name):
    arguments = ["--model.activation", name, "--model.activation.init_args.power", "3", "--run_dir", "run"]
    assert run(capsys, *FIT, *arguments)[0] == 0
    assert run(capsys, "test", *FIT[1:], *arguments, "--ckpt_path", "last")[0] == 0


@pytest.mark.slow
def test_an_installed_command_finds_a_file_of_the_users(folder):
    # With -P, Python itself does not put the current folder on the path; an installed script has none there either.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lpflu_bench", *FIT, "--model.activation", "functions.Bent", "--run_dir", "run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("score", ["val_loss", "train_loss", "val_top1_error"])
def test_an_early_stop_can_watch_whatever_is_logged(folder, capsys, score):
    early = ["--trainer.callbacks+=EarlyStopping", f"--trainer.callbacks.monitor={score}"]
    assert run(capsys, *FIT, "--run_dir", "run", *early)[0] == 0


def test_a_schedule_that_watches_a_score(folder, capsys):
    plateau = ["--model.schedule=pytorch_lightning.cli.ReduceLROnPlateau", "--model.schedule.monitor=val_top1_error"]
    assert run(capsys, *FIT, "--run_dir", "run", "--trainer.max_epochs", "2", *plateau)[0] == 0
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["lr_schedulers"][0]["last_epoch"] == 1  # stepped after the first epoch
    assert Path("run/record.json").exists()
