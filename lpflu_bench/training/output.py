"""What ``fit``, ``validate``, ``test`` and ``predict`` print, and what they keep Lightning from printing."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lpflu_bench.activations.registry import activation_name
from lpflu_bench.modules.base import BenchModule
from lpflu_bench.terminal import text_table


def announcement(module: BenchModule, verb: str, run_dir: Path) -> Iterator[str]:
    """Yield the lines that say what a command works on.

    Args:
        module: the network, and where its function was placed.
        verb: what the command does with it, such as ``training``.
        run_dir: the run's folder.
    """
    parameters = sum(p.numel() for p in module.network.parameters())
    yield f"{verb} {module.network_name} ({parameters / 1e6:.2f} M parameters) in {run_dir}"
    yield f"{activation_name(module.activation)} at {module.placement.sentence()}"
    yield from module.placement.remarks()


def print_scores(module: BenchModule, values: Mapping[str, Any], weights: str) -> None:
    """Print the scores of an evaluation as a table, each with its unit.

    Args:
        module: what declares them.
        values: what was logged, such as ``test_top1_error``; losses are left out.
        weights: of which weights they are; empty if there are no others.
    """
    from rich.console import Console

    titles = {f"{part}_{score.name}": score.title for score in module.declared_scores for part in ("val", "test")}
    lines = [(titles.get(name, name), f"{float(v):.2f}") for name, v in values.items() if "loss" not in name]
    title = f"{module.num_scored} samples scored" + (f", {weights}" if weights else "")
    Console(highlight=False).print(text_table(title, ("score", "value"), lines))


def quiet() -> None:
    """Silence what Lightning says of choices that this suite made on purpose."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The first kernel imports it; it warns where CUDA is installed and no GPU is there.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*GPU available but not used.*",
        ".*AMP with fp16 is not supported on CPU.*",  # refused
        ".*lower value for log_every_n_steps.*",
        ".*JsonargparseDeprecationWarning.*",
        ".*`instantiate_classes` was deprecated.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*using the WeightAveraging callback, but loading.*",
        ".*The dirpath has changed.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*treespec, LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
