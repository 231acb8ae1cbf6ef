"""Trainings that train nothing: their scores are drawn from the seed and the function's quality."""

import random

from lpflu_bench.errors import NOT_FINITE, UserError
from lpflu_bench.record_files import write_record
from lpflu_bench.records import FILE_NAME, Tested, blank
from lpflu_bench.studies.cell import PlannedTest
from lpflu_bench.studies.plan import Cell, Plan

RUNNER = "stand_in_trainings:run"
SCORE = {"name": "top1_error", "direction": "lower", "label": "top-1 error", "unit": "%", "share": True, "main": True}
NOISE = 0.5


def run(job):
    """Train, or only test where the record says that this was trained."""
    from pathlib import Path

    config = job.config
    seed, quality = config["seed_everything"], config["quality"]
    if quality == "diverges":
        raise UserError(f"{NOT_FINITE} at step 3")
    if quality == "crashes":
        raise RuntimeError("broken")
    draw = random.Random(f"{seed} {quality}")
    validation, tested = (quality + draw.gauss(0, NOISE) for _ in range(2))
    record = blank(config={}, config_hash=job.cell, seed=seed, labels=job.config, at="2026-01-01T00:00:00+00:00")
    record["trained"] |= {"curve": [{"epoch": 1, "val_top1_error": validation}], "seconds": 0.01, "incomplete": None}
    record |= {"status": "fitted", "scores": [SCORE]}
    if job.tests:
        test = dict.fromkeys(Tested.__annotations__) | {
            "weights": "raw",
            "conditions": {},
            "metrics": {"top1_error": tested},
        }
        record |= {"status": "finished", "tested": [test]}
    with (Path(job.run_dir) / "starts").open("a") as file:
        file.write("test\n" if job.tests else "train\n")
    write_record(record, Path(job.run_dir) / FILE_NAME)
    return record


def plan(task, qualities, seeds=12):
    """Return the plan of functions whose true errors are given."""
    from lpflu_bench.scores import Score

    cells, templates = [], []
    for number, (name, quality) in enumerate(qualities.items()):
        templates.append({("task",): task, ("quality",): quality, ("data", "init_args", "root"): "embedded"})
        for seed in range(seeds):
            labels = {"study": "s", "task": task, "network": "n", "activation": name, "seed": seed}
            cells.append(Cell(f"{len(task) * 10000 + number * 100 + seed:016x}", labels, number, seed))
    tests = ((PlannedTest(),),) * len(templates)
    return Plan(tuple(cells), tuple(templates), (Score(**SCORE),), tests)
