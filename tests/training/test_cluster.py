import os
import subprocess
import sys

import pytest
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from lpflu_bench.training.cluster import own_processes


@pytest.fixture(autouse=True)
def _rank(monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # what Lightning reads from SLURM_PROCID=1
    monkeypatch.delenv("LOCAL_RANK", raising=False)


@pytest.mark.parametrize("devices", [1, "1", [3]])
@pytest.mark.parametrize("tasks", ["1", "2"])
def test_a_plain_run_in_a_slurm_job_is_its_own_rank_zero(monkeypatch, devices, tasks):
    monkeypatch.setenv("SLURM_NTASKS", tasks)
    (environment,) = own_processes(devices, 1)
    assert isinstance(environment, LightningEnvironment)
    assert rank_zero_only.rank == 0


@pytest.mark.parametrize(
    ("tasks", "devices", "nodes"), [(None, 1, 1), ("2", 2, 1), ("4", "2", 2), ("2", "0,1", 1), ("2", "auto", 1)]
)
def test_without_slurm_or_with_a_task_for_each_process_lightning_decides(monkeypatch, tasks, devices, nodes):
    monkeypatch.delenv("SLURM_NTASKS", raising=False)
    if tasks:
        monkeypatch.setenv("SLURM_NTASKS", tasks)
    assert own_processes(devices, nodes) == []
    assert rank_zero_only.rank == 1


def test_two_processes_in_a_job_of_one_task_are_started_by_the_run(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert own_processes(2, 1)
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    monkeypatch.setenv("LOCAL_RANK", "1")  # the second of them
    assert own_processes(2, 1)
    assert rank_zero_only.rank == 1


def test_the_second_task_of_a_job_trains_tests_and_logs(tmp_path):
    job = {"JOB_ID": "7", "JOB_NAME": "cells", "NTASKS": "2", "PROCID": "1", "LOCALID": "1", "NODEID": "0"}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **{f"SLURM_{key}": value for key, value in job.items()}}
    files = ["--config", "tasks/demo/classification.yaml", "--config", "configs/smoke.yaml"]
    command = [sys.executable, "-m", "lpflu_bench", "fit", *files, "--run_dir", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "record.json").exists()
    assert (tmp_path / "fit" / "metrics.csv").exists()
