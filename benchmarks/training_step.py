"""A training step through the suite against a bare PyTorch loop, as a ratio measured in one run.

    uv run python benchmarks/training_step.py [--rounds 7] [--steps 60]

Both train the network, the optimizer and the schedule of tasks/demo/classification.yaml. The bare loop takes prepared
tensors from a list and does forward, loss, backward, step. The suite loads from its data module, augments, sets and averages
slopes, logs, checks the loss, and times itself. Augmentation is work, not overhead: the second ratio has it off.
Rounds alternate, so that a drift of the machine hits both alike; the ratio is of the medians.
"""

import argparse
import statistics
import tempfile
import time
import warnings

import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer, seed_everything

from lpflu_bench.activations.leaky import advance_slopes
from lpflu_bench.callbacks import FiniteLoss, RunRecord, SlopeEMA
from lpflu_bench.commands.lightning import quiet
from lpflu_bench.data import Shapes
from lpflu_bench.modules import ClassificationModule, WarmupDecayHold

BATCH = 64


def module(activation: str) -> ClassificationModule:
    seed_everything(0, verbose=False)
    return ClassificationModule(
        network="resnet8",
        num_classes=10,
        activation=activation,
        optimizer=lambda p: torch.optim.Adam(p, lr=0.01),
        schedule=WarmupDecayHold(1, 6, 0.01),
    )


def bare(activation: str, steps: int, batches: list) -> float:
    built = module(activation)
    network = built.network.train()
    optimizer = built.optimizer(network.parameters())
    start = 0.0
    for step in range(steps + 5):
        if step == 5:
            start = time.perf_counter()
        images, targets = batches[step % len(batches)]
        advance_slopes(network, seed=0, step=step)
        optimizer.zero_grad()
        F.cross_entropy(network(images), targets).backward()
        optimizer.step()
    return BATCH * steps / (time.perf_counter() - start)


class Stopwatch(Callback):
    """Seconds between the end of step 5 and the end of the last."""

    def __init__(self, steps):
        self.steps, self.rate = steps, 0.0

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 5:
            self.start = time.perf_counter()
        if trainer.global_step == self.steps + 5:
            self.rate = BATCH * self.steps / (time.perf_counter() - self.start)


def suite(activation: str, steps: int, augmentation: str, progress: bool) -> float:
    watch = Stopwatch(steps)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            accelerator="cpu",
            max_steps=steps + 5,
            max_epochs=-1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
            callbacks=[SlopeEMA(), FiniteLoss(), RunRecord(folder), watch],
        ).fit(module(activation), Shapes(root="embedded", batch_size=BATCH, augmentation=augmentation))
    return watch.rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")
    data = Shapes(root="embedded", batch_size=BATCH)
    data.setup("fit")
    batches = [data.prepare_batch(batch) for batch, _ in zip(data.train_dataloader(), range(20), strict=False)]
    for activation in ("relu", "lpflu"):
        rates: dict[str, list[float]] = {"bare": [], "suite, no augmentation": [], "suite": []}
        for _ in range(args.rounds):
            rates["bare"].append(bare(activation, args.steps, batches))
            rates["suite, no augmentation"].append(suite(activation, args.steps, "none", progress=False))
            rates["suite"].append(suite(activation, args.steps, "jitter_flip", progress=False))
        reference = statistics.median(rates["bare"])
        for name, values in rates.items():
            median = statistics.median(values)
            print(
                f"{activation:6} {name:24} {median:8.0f} images/s  ratio {median / reference:.3f}"
                f"  (spread {min(values):.0f} to {max(values):.0f})"
            )


if __name__ == "__main__":
    main()
