"""A run that is killed at any step and continued ends with the uninterrupted run's weights, bit for bit (on a CPU)."""

import os
import random
import shutil
import signal
from pathlib import Path

import pytest
import torch
from children import CHILDREN

from lpflu_bench.callbacks.step_seed import StepSeed
from lpflu_bench.identity import config_hash
from lpflu_bench.paths import resource_path
from lpflu_bench.record_files import read_record
from lpflu_bench.records import metrics
from lpflu_bench.studies.cell import Job, run_job
from lpflu_bench.studies.resolve import Resolver

EPOCHS, STEPS = 3, 4


@pytest.fixture(scope="module")
def config():
    """A small task with everything that draws: dropout, augmentation, order, slopes; Adam with a schedule."""
    return Resolver().resolve(
        [str(resource_path("tasks/demo/classification.yaml"))],
        {
            "model.network": f"{Path(__file__).with_name('network_with_dropout.py')}:Net",
            "model.activation": "lpflu",
            "model.ema_scope": "all",
            "data.batch_size": 8,
            "data.test_batch_size": 50,
            "trainer.max_epochs": EPOCHS,
            "trainer.limit_train_batches": STEPS,
            "trainer.limit_val_batches": 1,
            "trainer.limit_test_batches": 2,
            "trainer.enable_progress_bar": False,
        },
    )


def child(config, folder, kill_at):
    """Train and test; at the start of step ``kill_at``, be killed."""
    torch.set_num_threads(1)
    if kill_at is not None:
        seed = StepSeed.on_train_batch_start

        def seed_or_die(self, trainer, *rest):
            if trainer.global_step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            seed(self, trainer, *rest)

        StepSeed.on_train_batch_start = seed_or_die
    outcome = run_job(Job(config_hash(config), "cell", config, folder))
    raise SystemExit(0 if outcome.record else 1)


def run(config, folder, kill_at=None):
    """Train and test in a child; it kills itself at the start of step ``kill_at``. Return its exit status."""
    process = CHILDREN.Process(target=child, args=(config, str(folder), kill_at))
    process.start()
    process.join()
    return process.exitcode


def state(folder):
    return torch.load(Path(folder) / "checkpoints" / "last.ckpt", weights_only=True)


def difference(a, b, path=""):
    """The path of the first value that is not the same in both, or None."""
    if type(a) is not type(b):
        return path
    if isinstance(a, torch.Tensor):
        return None if torch.equal(a, b) else path
    if isinstance(a, dict | list | tuple):
        if len(a) != len(b) or (isinstance(a, dict) and a.keys() != b.keys()):
            return path
        keys = a.keys() if isinstance(a, dict) else range(len(a))
        return next((found for key in keys if (found := difference(a[key], b[key], f"{path}.{key}"))), None)
    return None if a == b else path


def trained(folder):
    """What the training left, times aside."""
    checkpoint = state(folder)
    record = read_record(folder / "record.json")
    curve = [{k: v for k, v in row.items() if "second" not in k} for row in record["trained"]["curve"]]
    parts = {part: checkpoint[part] for part in ("state_dict", "optimizer_states", "lr_schedulers")}
    return {**parts, "metrics": metrics(record), "curve": curve}


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(config, folder) == 0
    return folder


def test_killed_at_random_steps_and_continued_gives_the_same_bits(config, whole, tmp_path):
    # Somewhere in each epoch: before the first checkpoint, then twice after one.
    draw = random.Random(os.environ.get("LPFLU_BENCH_KILL_SEED", "7"))
    for epoch in range(EPOCHS):
        assert run(config, tmp_path, epoch * STEPS + draw.randrange(STEPS)) == -signal.SIGKILL
    assert run(config, tmp_path) == 0
    assert difference(trained(whole), trained(tmp_path)) is None
    one, two = (read_record(folder / "record.json")["trained"] for folder in (whole, tmp_path))
    assert (one["resumed"], two["resumed"]) == (0, 2)
    assert two["config_hash"] == config_hash(config)


def test_killed_between_training_and_test_is_only_tested(config, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "record.json").unlink()  # killed before the record of the training was written
    assert run(config, folder) == 0
    assert difference(trained(whole), trained(folder)) is None
    assert state(folder)["global_step"] == EPOCHS * STEPS
