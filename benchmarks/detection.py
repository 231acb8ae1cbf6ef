"""Detection's metric, input pipeline and training step, as ratios measured in one run.

    python benchmarks/detection.py [map] [pipeline] [step]

map: seconds for COCO mAP of 1,000 images with 100 detections each, updated in batches of 100. Default: torchmetrics'
    `MeanAveragePrecision()`. Suite: `BoxMAP()`, by both backends.
pipeline: images a second of the training loader from the second epoch on, two workers, on drawn images of VOC's size
    (500 x 375). Per image: torchvision's VOCDetection with v2 transforms (resize, flip, colour jitter). Suite:
    `lpflu_bench.data.VOC` with the cache, augmented in batches; decoding belongs to its first epoch.
step: images a second of training the small SSDLite of tasks/demo/detection.yaml, through the suite without augmentation
    (which is work, not overhead) against a bare loop over prepared tensors.

Rounds alternate, so that a drift of the machine hits all alike; ratios are of the medians.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import seed_everything
from rates import bare_rate, epoch_rate, in_turns, print_rates, suite_rate
from torch.utils.data import DataLoader
from torchmetrics.detection import MeanAveragePrecision
from torchvision import datasets
from torchvision.transforms import v2

from lpflu_bench.data import VOC
from lpflu_bench.modules import DetectionModule, WarmupDecayHold
from lpflu_bench.modules.box_map import BoxMAP
from lpflu_bench.training.output import quiet

SIZE, BATCH, WORKERS = 320, 32, 2
STEP_SIZE, STEP_BATCH = 64, 8


# --- mAP ----------------------------------------------------------------------------------------------------------


def detections(images: int = 1000, found: int = 100, objects: int = 10, classes: int = 20) -> tuple[list, list]:
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    predictions, targets = [], []
    for _ in range(images):
        corner = uniform(found, 2) * 250
        boxes = torch.cat([corner, corner + 20 + uniform(found, 2) * 200], dim=1)
        labels = torch.randint(1, classes + 1, (found,), generator=generator)
        truth = boxes[:objects] + 15 * (uniform(objects, 4) - 0.5)
        predictions.append({"boxes": boxes, "scores": uniform(found), "labels": labels})
        targets.append({"boxes": truth, "labels": labels[:objects], "iscrowd": (uniform(objects) < 0.1).long()})
    return predictions, targets


def mean_average_precision(rounds: int) -> None:
    predictions, targets = detections()
    ways: dict[str, Callable[[], MeanAveragePrecision]] = {
        "torchmetrics' default": MeanAveragePrecision,
        "suite, pycocotools": lambda: BoxMAP("pycocotools"),
        "suite": BoxMAP,
    }
    values = {}

    def rate(name: str) -> float:
        metric = ways[name]()
        metric.warn_on_many_detections = False
        start = time.perf_counter()
        for i in range(0, len(predictions), 100):
            metric.update(predictions[i : i + 100], targets[i : i + 100])
        values[name] = float(metric.compute()["map"])
        return len(predictions) / (time.perf_counter() - start)

    rates = in_turns({name: partial(rate, name) for name in ways}, rounds)
    print_rates("COCO mAP of 1,000 images x 100 detections", rates)
    print("  mAP " + ", ".join(f"{name}: {value:.7f}" for name, value in values.items()))
    print(f"  the suite's backends differ by {abs(values['suite'] - values['suite, pycocotools']):.1e}")


# --- input pipeline -----------------------------------------------------------------------------------------------


def draw_photographs(root: Path, count: int) -> None:
    """Write images of VOC's usual size with as much fine structure as a photograph, two objects each."""
    rng = np.random.default_rng(0)
    box = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
    objects = "".join(
        f"<object><name>{name}</name>{box.format(*corners)}</object>"
        for name, corners in (("cat", (20, 30, 200, 220)), ("dog", (180, 90, 480, 350)))
    )
    size = "<size><width>500</width><height>375</height></size>"
    for year, name, number in (("VOC2012", "trainval", count), ("VOC2007", "test", 1)):
        folder = root / "VOCdevkit" / year
        for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (folder / part).mkdir(parents=True)
        for i in range(number):
            ground = Image.fromarray(rng.integers(0, 255, (38, 50, 3), dtype=np.uint8))
            pixels = np.asarray(ground.resize((500, 375), Image.Resampling.BICUBIC)) + rng.normal(0, 6, (375, 500, 1))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / "JPEGImages" / f"{i:06d}.jpg", quality=92)
            annotation = f"<annotation><filename>{i:06d}.jpg</filename>{size}{objects}</annotation>"
            (folder / "Annotations" / f"{i:06d}.xml").write_text(annotation)
        names = "".join(f"{i:06d}\n" for i in range(number))
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text(names)


def per_image(root: Path, data: VOC) -> DataLoader:
    jitter = data.jitter
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize((SIZE, SIZE), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )

    def collate(samples: list) -> tuple[torch.Tensor, list]:
        images, targets = zip(*samples, strict=True)
        return torch.stack(images), list(targets)

    images = datasets.VOCDetection(str(root), year="2012", image_set="trainval", transforms=transform)
    return DataLoader(
        datasets.wrap_dataset_for_transforms_v2(images),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        persistent_workers=True,
        collate_fn=collate,
    )


def pipeline(rounds: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw_photographs(root, count)
        data = VOC(
            root=folder,
            classes=["cat", "dog"],
            image_size=SIZE,
            batch_size=BATCH,
            num_workers=WORKERS,
            cache="disk",
            cache_dir=folder,
        )
        data.setup("fit")
        plain, cached = per_image(root, data), data.train_dataloader()

        def suite() -> Iterable:
            for batch in cached:
                yield data.prepare_batch(data.augment_batch(batch))

        ways = {"per image": lambda: plain, "suite": suite, "suite, before augmenting": lambda: cached}
        first = {name: epoch_rate(batches()) for name, batches in ways.items()}
        rates = in_turns(
            {name: lambda batches=batches: epoch_rate(batches()) for name, batches in ways.items()}, rounds
        )
    note = f"; first epoch of the suite {first['suite']:.1f}"
    print_rates(f"input pipeline, {count} images of 500 x 375, {WORKERS} workers", rates, note)


# --- training step ------------------------------------------------------------------------------------------------


def module(activation: str) -> DetectionModule:
    seed_everything(0, verbose=False)
    return DetectionModule(
        num_classes=3,
        reduced_tail=True,
        activation=activation,
        optimizer=lambda p: torch.optim.Adam(p, lr=0.004),
        schedule=WarmupDecayHold(1, 4, 0.01),
    )


def shapes() -> VOC:
    data = VOC(
        root="embedded",
        classes=["circle", "square", "triangle"],
        image_size=STEP_SIZE,
        batch_size=STEP_BATCH,
        augmentation="none",
        cache="memory",
    )
    data.setup("fit")
    return data


def loss(network, images, targets):
    network.transform.fixed_size = (STEP_SIZE, STEP_SIZE)
    return sum(network(images, targets).values())


def decoded() -> VOC:
    data = shapes()
    list(data.train_dataloader())  # decoded, as from the second epoch on
    return data


def step(rounds: int, steps: int) -> None:
    data = shapes()
    batches = [data.prepare_batch(batch) for batch in data.train_dataloader()]
    for activation in ("relu", "lpflu"):
        ways = {
            "bare": lambda name=activation: bare_rate(module(name), loss, batches, steps),
            "suite": lambda name=activation: suite_rate(module(name), decoded(), STEP_BATCH, steps),
        }
        print_rates(f"training step, {activation}", in_turns(ways, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="map, pipeline, step (all if not given)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=320, help="of the pipeline")
    parser.add_argument("--steps", type=int, default=20, help="of each measurement of the training step")
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")
    if not args.what or "map" in args.what:
        mean_average_precision(args.rounds)
    if not args.what or "pipeline" in args.what:
        pipeline(args.rounds, args.images)
    if not args.what or "step" in args.what:
        step(args.rounds, args.steps)


if __name__ == "__main__":
    main()
