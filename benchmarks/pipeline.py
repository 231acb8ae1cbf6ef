"""Images a second of the CIFAR training pipeline (colour jitter, flip, normalise), against the usual per-image one.

    python benchmarks/pipeline.py

per image: PIL, torchvision's ColorJitter + RandomHorizontalFlip + ToTensor + Normalize, a loader with two workers.
kornia:    the suite's uint8 array and flip, kornia's batched ColorJiggle.
suite:     `lpflu_bench.data`, batches gathered from the array and augmented at once, in one process.

All get the same random images, as CIFAR-100 has them, and as many cores. Rounds alternate; ratios are of the medians.
"""

import argparse
import time
import warnings
from collections.abc import Iterable

import torch
from PIL import Image
from rates import in_turns, print_rates
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from lpflu_bench.data.augment import flip_horizontally, to_float
from lpflu_bench.data.classification import ClassificationData, ImageSplits
from lpflu_bench.data.labelled_images import ImageArray

BATCH = 128


class RandomImages(ClassificationData):
    """As many images as asked for, of CIFAR's shape."""

    count = 20_000

    def read(self) -> ImageSplits:
        """Draw them."""
        generator = torch.Generator().manual_seed(0)
        # Smooth images, as photographs are: their hues and contrasts take the usual branches.
        coarse = torch.rand(self.count, 3, 8, 8, generator=generator)
        images = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").mul_(255).byte()
        data = ImageArray(images, torch.arange(self.count) % 100)
        return ImageSplits(data, data.subset(torch.arange(100)), [str(label) for label in range(100)])


class PerImage(Dataset):
    """What torchvision's CIFAR100 does with a sample."""

    def __init__(self, data: RandomImages) -> None:
        jitter = data.jitter
        self.images = data.train_set.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.transform = transforms.Compose(
            [
                transforms.ColorJitter(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.mean.flatten().tolist(), data.std.flatten().tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.images[index])), index % 100


def suite(data: RandomImages) -> Iterable:
    for batch in data.train_dataloader():
        yield data.prepare_batch(data.augment_batch(batch))


def kornia(data: RandomImages) -> Iterable:
    from kornia.augmentation import ColorJiggle

    jitter = ColorJiggle(data.jitter.brightness, data.jitter.contrast, data.jitter.saturation, data.jitter.hue)
    for images, targets in data.train_dataloader():
        yield data.prepare_batch((jitter(to_float(flip_horizontally(images)[0])), targets))


def rate(batches: Iterable, seconds: float) -> float:
    """Images a second, from the second batch on (the first waits for workers and warm-up)."""
    count, start = 0, None
    for images, _ in batches:
        if start is None:
            start = time.perf_counter()
            continue
        count += len(images)
        if time.perf_counter() - start > seconds:
            break
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument(
        "--workers", type=int, default=2, help="processes of the per-image pipeline, threads of the suite"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.workers)
    data = RandomImages(root=".", batch_size=BATCH)
    data.setup("fit")
    per_image = DataLoader(PerImage(data), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=args.workers)
    ways = {"per image": lambda: per_image, "kornia": lambda: kornia(data), "suite": lambda: suite(data)}
    measures = {name: lambda batches=batches: rate(batches(), args.seconds) for name, batches in ways.items()}
    print_rates(f"input pipeline of CIFAR-100, {args.workers} core(s)", in_turns(measures, args.rounds))


if __name__ == "__main__":
    main()
