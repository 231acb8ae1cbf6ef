"""Shared by all tests: one seed, few threads, and a tiny LightningModule with every real mechanism in it."""

import gc
import os

import pytest
import torch

from lpflu_bench.activations.fused import set_small_kernels

torch.set_num_threads(1)  # the networks here are tiny, and idle threads that spin slow everything beside them


@pytest.fixture(autouse=True)
def _new_run(monkeypatch):
    """Every test starts as a run in a new process: with seed 0, and small tensors' formulas composed at first."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    torch.manual_seed(0)
    set_small_kernels(None)


collect_ignore_glob = ["conftest.py", "*/conftest.py"]  # --doctest-modules would import both under one name


def pytest_xdist_auto_num_workers(config):
    """Run the whole suite on the cores there are, up to four; tests that the command line names in this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    whole = config.args_source != config.ArgsSource.ARGS
    return min(cores, 4) if whole and cores > 1 else 0


def pytest_collection_finish():
    """Leave what is there by now out of every later collection: a run collects several times, and walks it each time."""
    gc.freeze()


def pytest_unconfigure():
    """Let the interpreter clean up at its end as ever: libraries report what they find left."""
    gc.unfreeze()
