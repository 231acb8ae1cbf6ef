"""A run that is killed at any step and continued ends with the uninterrupted run's weights, bit for bit (on a CPU)."""

import multiprocessing
import os
import random
import signal
from pathlib import Path

import pytest
import torch

from lpflu_bench.callbacks.step_seed import StepSeed
from lpflu_bench.identity import config_hash
from lpflu_bench.paths import resource_path
from lpflu_bench.records import metrics, read_record
from lpflu_bench.studies.cell import Job, run_job
from lpflu_bench.studies.resolve import Resolver

EPOCHS, STEPS = 3, 4


@pytest.fixture(scope="module")
def config():
    """A small task with everything that draws: dropout, augmentation, order, slopes; Adam with a schedule."""
    return Resolver().resolve(
        [str(resource_path("tasks/demo/classification.yaml"))],
        {
            "model.network": "mobilenet_v3_small",
            "model.activation": "lpflu",
            "data.batch_size": 8,
            "data.test_batch_size": 50,
            "trainer.max_epochs": EPOCHS,
            "trainer.limit_train_batches": STEPS,
            "trainer.limit_val_batches": 1,
            "trainer.limit_test_batches": 2,
            "trainer.enable_progress_bar": False,
        },
    )


# Forking this process fails once another test has started autograd's threads; a fork server has imported torch and no more.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["lpflu_bench.training.lightning_cli", "lpflu_bench.studies.cell"])


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


def assert_same(a, b, path=""):
    assert type(a) is type(b), path
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for index, (one, two) in enumerate(zip(a, b, strict=True)):
            assert_same(one, two, f"{path}[{index}]")
    else:
        assert a == b, path


def test_killed_at_random_steps_and_continued_gives_the_same_bits(config, tmp_path):
    assert run(config, tmp_path / "whole") == 0
    # Somewhere in each epoch: before the first checkpoint, then twice after one.
    draw = random.Random(os.environ.get("LPFLU_BENCH_KILL_SEED", "7"))
    for epoch in range(EPOCHS):
        assert run(config, tmp_path / "cut", epoch * STEPS + draw.randrange(STEPS)) == -signal.SIGKILL
    assert run(config, tmp_path / "cut") == 0
    whole, cut = state(tmp_path / "whole"), state(tmp_path / "cut")
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(whole[part], cut[part], part)
    one, two = (read_record(tmp_path / name / "record.json") for name in ("whole", "cut"))
    assert metrics(one) == metrics(two)
    assert [{k: v for k, v in row.items() if "second" not in k} for row in one["trained"]["curve"]] == [
        {k: v for k, v in row.items() if "second" not in k} for row in two["trained"]["curve"]
    ]
    assert (one["trained"]["resumed"], two["trained"]["resumed"]) == (0, 2)
    assert two["trained"]["config_hash"] == config_hash(config)


def test_killed_between_training_and_test_is_only_tested(config, tmp_path):
    assert run(config, tmp_path) == 0
    trained, record = state(tmp_path), read_record(tmp_path / "record.json")
    (tmp_path / "record.json").unlink()  # killed before the record of the training was written
    assert run(config, tmp_path) == 0
    assert_same(state(tmp_path)["state_dict"], trained["state_dict"])
    assert state(tmp_path)["global_step"] == EPOCHS * STEPS
    assert metrics(read_record(tmp_path / "record.json")) == metrics(record)
