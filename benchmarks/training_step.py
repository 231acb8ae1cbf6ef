"""A training step through the suite against a bare PyTorch loop, as a ratio measured in one run.

    uv run python benchmarks/training_step.py [--rounds 7] [--steps 60]

Both train the network, the optimizer and the schedule of tasks/demo/classification.yaml. The bare loop takes prepared
tensors from a list and does forward, loss, backward, step. The suite loads from its data module, augments, sets and averages
slopes, logs, checks the loss, and times itself. Augmentation is work, not overhead: the second ratio has it off.
Rounds alternate, so that a drift of the machine hits both alike; the ratio is of the medians.
"""

import argparse
import warnings

import torch
import torch.nn.functional as F
from pytorch_lightning import seed_everything
from rates import bare_rate, in_turns, print_rates, suite_rate

from lpflu_bench.data import Shapes
from lpflu_bench.modules import ClassificationModule, WarmupDecayHold
from lpflu_bench.training.output import quiet

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


def loss(network, images, targets):
    return F.cross_entropy(network(images), targets)


def shapes(augmentation: str) -> Shapes:
    return Shapes(root="embedded", batch_size=BATCH, augmentation=augmentation)


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
        ways = {
            "bare": lambda name=activation: bare_rate(module(name), loss, batches, args.steps),
            "suite, no augmentation": lambda name=activation: suite_rate(
                module(name), shapes("none"), BATCH, args.steps
            ),
            "suite": lambda name=activation: suite_rate(module(name), shapes("jitter_flip"), BATCH, args.steps),
        }
        print_rates(f"training step, {activation}", in_turns(ways, args.rounds))


if __name__ == "__main__":
    main()
