"""How long plan, status and report take for a study of 10,000 cells (the aim: at most 5 s each).

    python benchmarks/studies.py [--cells 10000]

The records are made up. The first plan imports torch and parses configurations, once for each value of an axis; after
that the plan is kept until the study, its files, or the package change. Both are measured.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from lpflu_bench.cli import main
from lpflu_bench.studies.grid import load_plan
from lpflu_bench.studies.store import Store
from lpflu_bench.studies.study_file import load_study

STUDY = """
title: Ten thousand cells
base: tasks/cifar100/regnety_800mf.yaml
axes:
  activation: [relu, mish, pflu, smu, gish, lpflu, silu, gelu, elu, leaky_relu]
  data.batch_size: [16, 32, 64, 128, 256]
  model.optimizer.lr: [0.001, 0.002, 0.004, 0.008]
  trainer.precision: [32-true, bf16-mixed]
seeds: 0-{last}
metrics: [top1_error, top5_error]
reference: relu
"""
COMBINATIONS = 10 * 5 * 4 * 2


def make_records(store: Store, study, plan) -> None:
    draw = random.Random(0)
    records = store.results / "records"
    records.mkdir(parents=True)
    for cell in plan.cells:
        config = plan.config(cell)
        error = 30 + draw.gauss(0, 1)
        record = {
            "schema": 1,
            "status": "finished",
            "error": None,
            "failed_at": None,
            "task": "cifar100",
            "kind": "classification",
            "network": "regnet_y_800mf",
            "activation": cell.labels["activation"],
            "activation_settings": {},
            "seed": cell.seed,
            "metrics": {"top1_error": error, "top5_error": error / 3},
            "num_test_samples": 10000,
            "parameters": 5_600_000,
            "epochs": 80,
            "steps": 31200,
            "batch_size": config["data"]["init_args"]["batch_size"],
            "precision": config["trainer"]["precision"],
            "train": {"seconds": 3600.0, "images_per_second": 1100.0, "peak_memory_mb": 3000.0},
            "test": {"seconds": 5.0, "images_per_second": 2000.0, "peak_memory_mb": 1000.0},
            "curve": [
                {
                    "epoch": e + 1,
                    "step": 390 * (e + 1),
                    "train_loss": 3 / (e + 1),
                    "val_top1_error": error + 80 / (e + 1),
                }
                for e in range(80)
            ],
            "placement": {"replaced": 57, "kept": 14, "slopes": {"ema": 44, "fixed": 13}, "layers": []},
            "config": config,
            "config_hash": cell.hash,
            "environment": {"torch": "2"},
            "started_at": "2026-01-01T00:00:00+00:00",
            "finished_at": "2026-01-01T01:00:00+00:00",
            "cell": dict(cell.labels),
            "attempts": [
                {
                    "started_at": "2026-01-01T00:00:00+00:00",
                    "finished_at": "2026-01-01T01:00:00+00:00",
                    "outcome": "finished",
                    "error": None,
                }
            ],
        }
        (records / f"{cell.hash}.json").write_text(json.dumps(record, indent=1))


def timed(name: str, arguments: list[str]) -> None:
    start = time.perf_counter()
    status = main(["study", *arguments])
    print(f"{name:<14} {time.perf_counter() - start:6.2f} s  (status {status})", file=sys.stderr, flush=True)


def measure(cells: int, folder: Path) -> None:
    file = folder / "many.yaml"
    file.write_text(STUDY.format(last=max(cells // COMBINATIONS, 1) - 1))
    places = ["--results", str(folder / "results"), "--runs", str(folder / "runs")]
    timed("first plan", ["plan", str(file), *places])
    timed("plan", ["plan", str(file), *places])
    study = load_study(file)
    store = Store(study.name, folder / "results", folder / "runs")
    make_records(store, study, load_plan(study, store.runs / "plan.json"))
    timed("first status", ["status", str(file), *places])
    timed("status", ["status", str(file), *places])
    timed("report", ["report", str(file), *places])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    where = Path(tempfile.mkdtemp())
    try:
        measure(parser.parse_args().cells, where)
    finally:
        shutil.rmtree(where)
