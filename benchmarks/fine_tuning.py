"""What a trained network loses when its functions are swapped, and what fine-tuning gives back, with and without blending.

`uv run python benchmarks/fine_tuning.py [--seeds 3] [--out results/swap]`, four minutes of processor time: the demo's
ResNet-8 is trained with ReLU on the embedded shapes, its weights are loaded into the same network with another function, and
that is fine-tuned for one epoch at a tenth of the rate. Top-1 error in % of the 1,000 test images: of ReLU, right after the
swap, and after fine-tuning; blending (`--blend.steps`) takes the first half of the steps. ReLU fine-tuned alike is the
control.
"""

import argparse
import logging
import tempfile
import warnings
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything

from lpflu_bench.callbacks.blend import Blend
from lpflu_bench.callbacks.slope_ema import SlopeEMA
from lpflu_bench.data import Shapes
from lpflu_bench.modules import ClassificationModule, WarmupDecayHold
from lpflu_bench.networks.starting_weights import load_starting_weights

RATE, EPOCHS, FINE_TUNING_EPOCHS = 0.01, 3, 1
FUNCTIONS = ("relu", "lpflu", "gelu")


def module_of(activation: str, rate: float, epochs: int) -> ClassificationModule:
    return ClassificationModule(
        network="resnet8",
        num_classes=10,
        activation=activation,
        optimizer=partial(torch.optim.Adam, lr=rate),
        schedule=WarmupDecayHold(warmup_epochs=epochs / 3, decay_end_epoch=epochs, final_factor=0.01),
    )


def trainer_of(epochs: int, blend_steps: int | None = None) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[SlopeEMA(), Blend(steps=blend_steps)],
    )


def error_of(module: ClassificationModule, data: Shapes) -> float:
    """Return the test error in %."""
    return float(trainer_of(1).test(module, data, verbose=False)[0]["test_top1_error"])


def measure(seed: int, checkpoint: Path) -> list[dict[str, object]]:
    """Return a row for each function, fine-tuned with and without blending."""
    seed_everything(seed, verbose=False)
    data = Shapes(root="embedded", batch_size=64, augmentation="jitter_flip")
    trained = module_of("relu", RATE, EPOCHS)
    trainer = trainer_of(EPOCHS)
    trainer.fit(trained, data)
    trainer.save_checkpoint(checkpoint, weights_only=True)
    before = error_of(trained, data)
    half = FINE_TUNING_EPOCHS * trainer.num_training_batches // 2
    rows = []
    for activation in FUNCTIONS:
        for blend_steps in (None, half) if activation != "relu" else (None,):
            seed_everything(seed, verbose=False)
            module = module_of(activation, RATE / 10, FINE_TUNING_EPOCHS)
            load_starting_weights(module.network, str(checkpoint), [p.path for p in module.placement.placements])
            after_swap = error_of(module, data)
            trainer_of(FINE_TUNING_EPOCHS, blend_steps).fit(module, data)
            row = {"activation": activation, "blend_steps": blend_steps or 0, "seed": seed, "relu": before}
            rows.append({**row, "after_swap": after_swap, "fine_tuned": error_of(module, data)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/swap"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for seed in range(args.seeds) for row in measure(seed, Path(folder) / "relu.ckpt")]
    table = pd.DataFrame(rows).round(2)
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "fine_tuning.csv", index=False)
    groups = table.groupby(["activation", "blend_steps"], sort=False)[["relu", "after_swap", "fine_tuned"]]
    print(groups.agg(["mean", "min", "max"]).round(2).to_string())


if __name__ == "__main__":
    main()
