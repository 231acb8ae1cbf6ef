"""Segmentation's input pipeline and training step, as ratios measured in one run.

    python benchmarks/segmentation.py [pipeline] [step]

pipeline: images a second of the training loader from the second epoch on, with two workers, on drawn scenes of
    Cityscapes' size (2048 x 1024). Per image: torchvision's Cityscapes with v2 transforms (resize, crop, flip, colour
    jitter, normalise). Suite: `lpflu_bench.data.Cityscapes` with the cache, augmented in batches; decoding belongs to
    its first epoch.
step: images a second of training the small U-Net of tasks/demo/segmentation.yaml, through the suite without
    augmentation (which is work, not overhead) against a bare loop over prepared tensors.

Rounds alternate, so that a drift of the machine hits all alike; ratios are of the medians.
"""

import argparse
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_lightning import seed_everything
from rates import bare_rate, epoch_rate, in_turns, print_rates, suite_rate
from torch.utils.data import DataLoader
from torchvision import datasets, tv_tensors
from torchvision.transforms import v2

from lpflu_bench.data import Cityscapes
from lpflu_bench.data.synthetic_cityscapes import draw_scene
from lpflu_bench.modules import SegmentationModule, WarmupDecayHold
from lpflu_bench.training.output import quiet

SIZE, CROP, BATCH, WORKERS = (512, 1024), (256, 512), 16, 2
STEP_BATCH = 8


def draw_large_scenes(root: Path, count: int) -> None:
    """Write scenes of 2048 x 1024 pixels with some fine noise, which is what a photograph costs a PNG decoder."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        folders = [root / part / split / "demo" for part in ("leftImg8bit", "gtFine")]
        for folder in folders:
            folder.mkdir(parents=True)
        for i in range(count if split == "train" else 1):
            picture, label = (Image.fromarray(pixels) for pixels in draw_scene(rng))
            large = np.asarray(picture.resize((2048, 1024), Image.Resampling.BICUBIC)) + rng.normal(
                0, 3, (1024, 2048, 1)
            )
            stem = f"demo_{i:06d}_000000"
            Image.fromarray(large.clip(0, 255).astype(np.uint8)).save(
                folders[0] / f"{stem}_leftImg8bit.png", compress_level=1
            )
            label.resize((2048, 1024), Image.Resampling.NEAREST).save(folders[1] / f"{stem}_gtFine_labelIds.png")


def per_image(root: Path, data: Cityscapes) -> DataLoader:
    jitter = data.jitter
    lookup = torch.from_numpy(data.labels.lookup)
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(SIZE, antialias=True),
            v2.RandomCrop(CROP),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue),
            v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    def collate(samples: list) -> tuple[torch.Tensor, torch.Tensor]:
        images, masks = zip(*samples, strict=True)
        return torch.stack(images), lookup[torch.stack(masks).squeeze(1).long()].long()

    scenes = datasets.Cityscapes(str(root), split="train", mode="fine", target_type="semantic", transforms=transform)
    return DataLoader(
        datasets.wrap_dataset_for_transforms_v2(scenes),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        persistent_workers=True,
        collate_fn=collate,
    )


def pipeline(rounds: int, count: int) -> None:
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw_large_scenes(root, count)
        data = Cityscapes(
            root=folder,
            size=SIZE,
            crop_size=CROP,
            batch_size=BATCH,
            num_workers=WORKERS,
            cache="disk",
            cache_dir=folder,
        )
        data.setup("fit")
        torch.set_num_threads(1)  # beside the workers, as they have one each
        plain, cached = per_image(root, data), data.train_dataloader()

        def suite() -> Iterable:
            for batch in cached:
                yield data.prepare_batch(data.augment_batch(batch))

        ways = {"per image": lambda: plain, "suite": suite}
        first = {name: epoch_rate(batches()) for name, batches in ways.items()}
        rates = in_turns(
            {name: lambda batches=batches: epoch_rate(batches()) for name, batches in ways.items()}, rounds
        )
    torch.set_num_threads(threads)
    note = f"; first epoch of the suite {first['suite']:.1f}"
    print_rates(f"input pipeline, {count} scenes of 2048 x 1024, {WORKERS} workers", rates, note)


def module(activation: str) -> SegmentationModule:
    seed_everything(0, verbose=False)
    return SegmentationModule(
        num_classes=20,
        other_class=19,
        encoder_name="resnet18",
        activation=activation,
        optimizer=lambda p: torch.optim.Adam(p, lr=0.002),
        schedule=WarmupDecayHold(1, 4, 0.01),
    )


def scenes() -> Cityscapes:
    return Cityscapes(
        root="embedded", size=(64, 128), crop_size=None, batch_size=STEP_BATCH, augmentation="none", cache="memory"
    )


def loss(network, images, masks):
    return F.cross_entropy(network(images), masks, ignore_index=255)


def decoded() -> Cityscapes:
    data = scenes()
    data.setup("fit")
    list(data.train_dataloader())  # decoded, as from the second epoch on
    return data


def step(rounds: int, steps: int) -> None:
    data = scenes()
    data.setup("fit")
    batches = [data.prepare_batch(batch) for batch in data.train_dataloader()]
    for activation in ("relu", "lpflu"):
        ways = {
            "bare": lambda name=activation: bare_rate(module(name), loss, batches, steps),
            "suite": lambda name=activation: suite_rate(module(name), decoded(), STEP_BATCH, steps),
        }
        print_rates(f"training step, {activation}", in_turns(ways, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="pipeline, step (both if not given)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scenes", type=int, default=64, help="of the pipeline")
    parser.add_argument("--steps", type=int, default=12, help="of each measurement of the training step")
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")
    if not args.what or "pipeline" in args.what:
        pipeline(args.rounds, args.scenes)
    if not args.what or "step" in args.what:
        step(args.rounds, args.steps)


if __name__ == "__main__":
    main()
