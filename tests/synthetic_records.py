"""Records as runs write them, drawn from seeded distributions: what the report's tests are about."""

from dataclasses import asdict
from itertools import product

import numpy as np

from lpflu_bench.reports.spec import ReportSpec
from lpflu_bench.scores import Score

FUNCTIONS = ["relu", "mish", "pflu", "smu", "gish", "lpflu"]
TOP1 = Score("top1_error", "lower", "top-1 error", share=True, main=True)
TOP5 = Score("top5_error", "lower", "top-5 error", share=True)
MAP, MAP_50 = Score("map", "higher", "mAP", main=True), Score("map_50", "higher", "mAP@50")
EFFECTS = {"relu": 1.4, "mish": 0.4, "pflu": 0.1, "smu": 0.5, "gish": 1.5, "lpflu": 0.0}


CODE = {"package": "0123456789abcdef", "commit": "abcdef1234567890", "activation": None}
ENVIRONMENT = {"lpflu_bench": "0.1.0", "torch": "2.15", "device": "NVIDIA H100"}


_TIMES = {"median": 1.0, "low": 1.0, "high": 1.0}
_LATENCY = {"batch_size": 1, "threads": 1, "seconds": _TIMES, "relu_seconds": _TIMES, "ratio_to_relu": _TIMES}
_FORM = {
    "form": "onnx",
    "file": "exported/0.onnx",
    "bytes": 1,
    "scores": {"top1_error": 30.0},
    "difference": 0.0,
    "nodes": 1,
    "activation_nodes": 1.0,
    "signal_to_noise": {},
    "latencies": [_LATENCY],
}
DEPLOYED = {"forms": [_FORM], "outside": "", "settings": {}, "versions": {}, "load": 0.1}
"""What deploying leaves in a record."""


def result_of_test(metrics, **changes):
    """One whole test of the raw weights."""
    return {
        "weights": "raw",
        "conditions": {},
        "metrics": metrics,
        "num_samples": 10000,
        "incomplete": None,
        "batch_size": 128,
        "devices": 1,
        "precision": "32-true",
        "seconds": 3.0,
        "images_per_second": 9000.0,
        "peak_memory_mb": 500,
        "outcomes": None,
        "code": CODE,
        "environment": ENVIRONMENT,
        "finished_at": "2026-01-01T01:00:00+00:00",
        **changes,
    }


def record(activation, seed, value, *, task="cifar100", network="regnet_y_800mf", epochs=80, curve=True, **axes):
    """One finished classification run with this top-1 error."""
    trained = {
        "task": task,
        "kind": "classification",
        "network": network,
        "activation": activation,
        "activation_settings": {},
        "seed": seed,
        "parameters": 5_600_000,
        "epochs": epochs,
        "steps": epochs * 390,
        "batch_size": 128,
        "total_batch_size": 128,
        "devices": 1,
        "precision": "32-true",
        "optimizer": "Adam",
        "incomplete": None,
        "seconds": 1000.0 + len(activation),
        "images_per_second": 4000.0 + 40 * seed - 100 * len(activation),
        "peak_memory_mb": 1000,
        "resumed": 0,
        "validation_conditions": {},
        "diagnostics": None,
        "curve": [
            {
                "epoch": epoch,
                "step": epoch * 390,
                "train_loss": 4.0 / epoch,
                "val_top1_error": value + 60 / epoch + 0.3 * np.sin(seed + epoch),
            }
            for epoch in range(1, 13)
        ]
        if curve
        else [],
        "placement": {"replaced": 57, "kept": 14, "slopes": {"ema": 44, "fixed": 13}, "layers": [{"path": "stem"}]},
        "config": {
            "seed_everything": seed,
            "model": {"class_path": "Classification", "init_args": {"activation": activation, "betas": [0.9, 0.999]}},
            "trainer": {"max_epochs": epochs},
            "axis": axes,
        },
        "config_hash": f"{activation}-{seed}-{'-'.join(map(str, axes.values()))}",
        "code": CODE,
        "environment": ENVIRONMENT,
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:59:00+00:00",
        "sessions": [{"started_at": "2026-01-01T00:00:00+00:00", "finished_at": "2026-01-01T00:59:00+00:00"}],
    }
    return {
        "status": "finished",
        "written_at": "2026-01-01T01:00:00+00:00",
        "error": None,
        "failed_at": None,
        "trained": trained,
        "scores": [asdict(TOP1), asdict(TOP5)],
        "tested": [result_of_test({"top1_error": round(value, 2), "top5_error": round(value / 3, 2)})],
        "cell": {"task": task, "activation": activation, "seed": seed, **axes},
    }


def published_config(item):
    """The configuration of a record as the paper states it for CIFAR-100 with Adam."""
    return {
        "seed_everything": item["trained"]["seed"],
        "trainer": {"max_epochs": 80},
        "model": {
            "class_path": "lpflu_bench.modules.ClassificationModule",
            "init_args": {
                "activation": item["trained"]["activation"],
                "downsamplings": 3,
                "initializer": "xavier_uniform",
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.002}},
                "schedule": {
                    "class_path": "lpflu_bench.modules.WarmupDecayHold",
                    "init_args": {"warmup_epochs": 1.0, "decay_end_epoch": 55.0, "final_factor": 0.01},
                },
            },
        },
        "data": {
            "class_path": "lpflu_bench.data.CIFAR100",
            "init_args": {"batch_size": 128, "augmentation": "jitter_flip", "train_noise": None, "test_noise": None},
        },
    }


def detection(activation, seed, value, **changes):
    """One finished detection run with this mAP."""
    made = record(activation, seed, 0, task="voc", **changes)
    made["trained"]["kind"] = "detection"
    made["scores"] = [asdict(MAP), asdict(MAP_50)]
    made["tested"] = [result_of_test({"map": value, "map_50": 2 * value})]
    return made


def grid(seeds=5, sd=0.25, *, functions=FUNCTIONS, base=31.3, effects=EFFECTS, rng_seed=0, **axes):
    """Every combination of functions, seeds and the values of each axis; the seeds' own effect is common to all."""
    rng = np.random.default_rng(rng_seed)
    records = []
    for number, values in enumerate(product(*axes.values())):
        common = rng.normal(0, 0.3, seeds)
        for activation, seed in product(functions, range(seeds)):
            value = base + 1.5 * number + effects[activation] + common[seed] + rng.normal(0, sd)
            records.append(record(activation, seed, value, **dict(zip(axes, values, strict=True))))
    return records


def spec(axes=(), **changes):
    """A report on top-1 and top-5 error with LPFLU as the reference."""
    settings = {
        "name": "table1",
        "title": "Table 1: optimisers",
        "description": "RegNetY-800MF on CIFAR-100, six functions, Adam and SGD.",
        "reference": "lpflu",
        "axes": tuple(axes),
        "metrics": ("top1_error", "top5_error"),
    }
    return ReportSpec(**(settings | changes))
