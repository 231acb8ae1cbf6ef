"""How long plan, status and report take for a study of 10,000 cells, and how much memory (the aim: 5 s and 500 MB each).

    python benchmarks/studies.py [--cells 10000]

Each command is a process of its own, as on the command line (``report`` writes its CSV in a second one); printed are
seconds of processor time (the machine may be busy), of the clock, and the peak memory. The records are made up, and as
long as those of an 80-epoch RegNetY: a curve of 80 epochs, 71 layers. The first plan parses configurations, once for
each value of an axis; after that the plan is kept until the study, its files, or the package change. Both are measured.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from lpflu_bench.record_files import write_record
from lpflu_bench.records import Record, Tested, blank
from lpflu_bench.scores import Score
from lpflu_bench.studies.plan import Plan
from lpflu_bench.studies.plan_cache import load_plan
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


SCORES = [
    asdict(Score("top1_error", "lower", "top-1 error", share=True, main=True)),
    asdict(Score("top5_error", "lower", "top-5 error", share=True)),
]
LAYERS = [
    {
        "path": f"trunk.block{index}.f.a.2", "old": "torch.nn.ReLU", "new": "lpflu_bench.nn.LPFLU",
        "slope": "ema", "block": "residual", "squeeze_excitation": False,
    }
    for index in range(71)
]  # fmt: skip
ENVIRONMENT = {"python": "3.13", "torch": "2.10", "lightning": "2.6", "device": "H100", "host": "node1", "cpus": 16}


def make_records(store: Store, plan: Plan) -> None:
    draw = random.Random(0)
    at = "2026-01-01T01:00:00+00:00"
    for cell in plan.cells:
        config = plan.config(cell)
        error = 30 + draw.gauss(0, 1)
        record: Record = blank(config=config, config_hash=cell.hash, seed=cell.seed, labels=cell.labels, at=at)
        record["status"] = "finished"
        record["scores"] = SCORES  # type: ignore[typeddict-item]
        record["cell"] = dict(cell.labels)
        record["trained"].update(
            kind="classification", parameters=5_600_000, epochs=80, steps=31_200, batch_size=128, total_batch_size=128,
            devices=1, precision="32-true", optimizer="Adam", seconds=3600.0, images_per_second=1100.0 + error,
            peak_memory_mb=3000.0, incomplete=None, environment=ENVIRONMENT, started_at=at, finished_at=at,
            placement={"replaced": 71, "kept": 0, "slopes": {"ema": 57, "fixed": 14}, "layers": LAYERS},
            curve=[
                {"epoch": e, "step": 390 * e, "train_loss": 3 / e + draw.random(), "val_top1_error": error + 80 / e,
                 "val_top5_error": error / 3 + 60 / e, "lr": 0.002 / e}
                for e in range(1, 81)
            ],
        )  # fmt: skip
        test: Tested = {
            "weights": "raw", "conditions": {}, "metrics": {"top1_error": error, "top5_error": error / 3},
            "num_samples": 10_000, "incomplete": None, "batch_size": 128, "devices": 1, "precision": "32-true",
            "seconds": 5.0, "images_per_second": 2000.0, "peak_memory_mb": 1000.0, "outcomes": None,
            "code": {"package": "0123456789abcdef", "commit": "modified", "activation": None},
            "environment": ENVIRONMENT, "finished_at": at,
        }  # fmt: skip
        record["tested"] = [test]
        write_record(record, store.record_path(cell.hash))


def timed(name: str, arguments: list[str]) -> None:
    start = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "import sys; from lpflu_bench.cli import main; sys.exit(main())",
        "study",
        *arguments,
    ]
    # Compiled modules are kept, as Python does by default: the first plan compiles them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    print(
        f"{name:<14} {used.ru_utime + used.ru_stime:6.2f} s of processor  {time.perf_counter() - start:6.2f} s  "
        f"{used.ru_maxrss / 1024:6.0f} MB  (status {os.waitstatus_to_exitcode(status)})",
        file=sys.stderr,
        flush=True,
    )


def measure(cells: int, folder: Path) -> None:
    file = folder / "many.yaml"
    file.write_text(STUDY.format(last=max(cells // COMBINATIONS, 1) - 1))
    places = ["--results", str(folder / "results"), "--runs", str(folder / "runs")]
    timed("first plan", ["plan", str(file), *places])
    timed("plan", ["plan", str(file), *places])
    study = load_study(file)
    store = Store(study.name, folder / "results", folder / "runs")
    (store.results / "records").mkdir(parents=True)
    make_records(store, load_plan(study, store.runs / "plan.json"))
    timed("first status", ["status", str(file), *places])
    timed("status", ["status", str(file), *places])
    timed("first report", ["report", str(file), *places])
    timed("report", ["report", str(file), *places])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    options = parser.parse_args()
    where = options.keep or Path(tempfile.mkdtemp())
    where.mkdir(parents=True, exist_ok=True)
    try:
        measure(options.cells, where)
    finally:
        if options.keep is None:
            shutil.rmtree(where)
