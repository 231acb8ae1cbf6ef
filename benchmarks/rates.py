"""Images a second of input pipelines and of training steps, bare and through the suite: what the benchmarks share."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from pytorch_lightning import Callback, LightningDataModule, Trainer
from torch import Tensor, nn

from lpflu_bench.activations.leaky import advance_slopes
from lpflu_bench.callbacks import FiniteLoss, RunRecord, SlopeEMA
from lpflu_bench.modules.base import BenchModule

WARM_UP = 5


def in_turns(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each way once a round, so that a drift of the machine hits all alike."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
        for name, measure in ways.items():
            rates[name].append(measure())
    return rates


def print_rates(what: str, rates: Mapping[str, list[float]], note: str = "") -> None:
    """Print the medians, and their ratios to the first one's."""
    print(what)
    reference = statistics.median(next(iter(rates.values())))
    for name, values in rates.items():
        median = statistics.median(values)
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"  {name:24}{median:9.2f} images/s  ratio {median / reference:6.3f}  ({spread}{note})")


def epoch_rate(batches: Iterable) -> float:
    """One pass over (images, targets)."""
    start = time.perf_counter()
    count = sum(len(images) for images, _ in batches)
    return count / (time.perf_counter() - start)


def bare_rate(
    module: BenchModule, loss: Callable[[nn.Module, Tensor, Any], Tensor], batches: list[Any], steps: int
) -> float:
    """Forward, loss, backward and step over prepared (images, targets), the slopes advanced as in any plain loop."""
    network = module.network.train()
    optimizer = module.optimizer(network.parameters())
    start = 0.0
    for step in range(steps + WARM_UP):
        if step == WARM_UP:
            start = time.perf_counter()
        images, targets = batches[step % len(batches)]
        advance_slopes(network, seed=0, step=step)
        optimizer.zero_grad()
        loss(network, images, targets).backward()
        optimizer.step()
    return len(batches[0][0]) * steps / (time.perf_counter() - start)


class _Stopwatch(Callback):
    """Seconds between the end of the warm-up and the end of the last step."""

    def __init__(self, steps: int) -> None:
        self.steps, self.seconds = steps, 0.0

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step in (WARM_UP, self.steps + WARM_UP) and trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        if trainer.global_step == WARM_UP:
            self.start = time.perf_counter()
        if trainer.global_step == self.steps + WARM_UP:
            self.seconds = time.perf_counter() - self.start


def suite_rate(module: BenchModule, data: LightningDataModule, batch_size: int, steps: int, **settings: Any) -> float:
    """The same number of steps through the suite: its data module, slopes, loss check, logging and record.

    ``settings`` are the trainer's, on a CPU where they do not say otherwise.
    """
    watch = _Stopwatch(steps)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            **{"accelerator": "cpu"} | settings,
            max_steps=steps + WARM_UP,
            max_epochs=-1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
            callbacks=[SlopeEMA(), FiniteLoss(), RunRecord(folder), watch],
        ).fit(module, data)
    return batch_size * steps / watch.seconds
