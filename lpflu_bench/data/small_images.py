"""Image classification from one uint8 array in memory: batches gathered by index, augmented on the device."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lpflu_bench.data.augment import (
    JitterStrength,
    Noise,
    flip_horizontally,
    jitter_colors,
    pad_and_crop,
    to_float,
)
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.corruptions import Corruption
from lpflu_bench.data.embedded import EMBEDDED
from lpflu_bench.data.synthetic_shapes import draw_shapes
from lpflu_bench.errors import UserError, check_range
from lpflu_bench.seeding import derive_seed

Batch = tuple[Tensor, Tensor]
_DEFAULT_JITTER = JitterStrength()
_CHUNK = 4096  # images converted to float at once


@dataclass(frozen=True)
class LabelledImages:
    """Images uint8 [N, C, H, W] (C 1 or 3) and their classes long [N]."""

    images: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, indices: Tensor) -> "LabelledImages":
        """Return a copy of some of them."""
        return LabelledImages(self.images[indices], self.targets[indices])

    def followed_by(self, others: "LabelledImages") -> "LabelledImages":
        """Return these and others in one."""
        return LabelledImages(torch.cat([self.images, others.images]), torch.cat([self.targets, others.targets]))

    def split_by_class(self, share: float, key: str) -> tuple["LabelledImages", "LabelledImages"]:
        """Return what is kept and a share of each class that is held out: the same images for every run's seed.

        Args:
            share: in (0, 1).
            key: the setting that asks for it; each has its own images.

        Raises:
            UserError: nothing would be held out, or nothing kept.
        """
        generator = torch.Generator().manual_seed(derive_seed(0, key))
        order = torch.randperm(len(self), generator=generator)
        held_out = torch.zeros(len(self), dtype=torch.bool)
        for label in torch.unique(self.targets).tolist():
            members = order[self.targets[order] == label]
            held_out[members[: round(share * len(members))]] = True
        if not held_out.any() or held_out.all():
            raise UserError(f"data.{key} {share} leaves no image to {'train on' if held_out.all() else 'hold out'}")
        return self.subset(~held_out), self.subset(held_out)


@dataclass(frozen=True)
class ImageSplits:
    """What a reader returns: both splits and the class names, in the order of the class numbers."""

    train: LabelledImages
    test: LabelledImages
    class_names: list[str]


class ImageArray(Dataset[Batch]):
    """Labelled images as a data set that gathers a whole batch at once: no Python runs per sample."""

    def __init__(self, data: LabelledImages, device: torch.device) -> None:
        self.images = data.images.to(device)
        self.targets = data.targets.to(device)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Batch:
        return self.images[index], self.targets[index]

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return the batch of these indices (what torch's loader calls when a data set has it)."""
        where = torch.tensor(indices, device=self.targets.device)
        return self.images.index_select(0, where), self.targets.index_select(0, where)


class SmallImages(BenchDataModule):
    """Base of the classification sets that fit into memory. A subclass implements ``read`` alone.

    Batches are images, float [B, 3, H, W] normalised by channel with mean and standard deviation of the training
    images, and classes, long [B]. With ``root: embedded`` the project's own drawn shapes stand in for the set.

    Args:
        root: Folder that holds the data; ``embedded`` for the drawn stand-in.
        batch_size: Training images in a batch on each device; the last partial batch of an epoch is dropped.
        test_batch_size: Images in a batch of validation, test and prediction on each device; as ``batch_size`` if null.
        num_workers: Processes that gather batches; 0 is fastest, a batch is one indexed copy.
        seed: Seed of order and augmentation; the run's if null.
        augmentation: Of training images: ``jitter_flip`` (the paper's: colour jitter and horizontal flip), ``crop_flip``
            (the usual one for CIFAR: a crop after padding by 4 black pixels, and horizontal flip), ``flip`` or ``none``.
        jitter: Strengths of the colour jitter.
        train_noise: Noise on training images, anew each time, after the other augmentation (the paper's Table 3).
        test_noise: Noise on test and validation images. It is drawn once, the same for every run, so that all
            networks see one noisy test set whatever their batch size and number of devices.
        val_fraction: Share of each class's training images, in [0, 1), that is held out for validation: the same ones for
            every seed. 0: validation on the test set, as the paper's Fig. 9; nothing is selected by it.
        test_fraction: Share of each class's training images, in (0, 1), that is tested on instead, after the test images:
            the same ones for every seed. A larger test set tells functions apart that few test images cannot; null: none.
        on_device: Keep the images on the training device: the fastest for a GPU with memory to spare.
        test_corruption: What corrupts the images of test and prediction, the same for every run.
    """

    located_targets = False

    embedded_classes: int = 10
    """Number of classes of the embedded stand-in: 10 or 100."""

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 128,
        test_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int | None = None,
        augmentation: Literal["jitter_flip", "crop_flip", "flip", "none"] = "jitter_flip",
        jitter: JitterStrength = _DEFAULT_JITTER,
        train_noise: Noise | None = None,
        test_noise: Noise | None = None,
        val_fraction: float = 0.0,
        test_fraction: float | None = None,
        on_device: bool = False,
        test_corruption: Corruption | None = None,
    ) -> None:
        super().__init__(root, batch_size, test_batch_size, num_workers, seed, test_corruption)
        check_range("data.val_fraction", val_fraction, at_least=0, below=1)
        if test_fraction is not None:
            check_range("data.test_fraction", test_fraction, above=0, below=1)
        if on_device and num_workers:
            raise UserError(
                f"data.on_device needs data.num_workers 0, not {num_workers}: no process has to load anything"
            )
        self.augmentation = augmentation
        self.jitter = jitter
        self.train_noise = train_noise
        self.test_noise = test_noise
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.on_device = on_device

    @abstractmethod
    def read(self) -> ImageSplits:
        """Read both splits from ``root_folder()``.

        Raises:
            UserError: Something is missing or can't be read.
        """

    def read_embedded(self) -> ImageSplits:
        """Return the drawn stand-in."""
        train, test, names = draw_shapes(self.embedded_classes)
        return ImageSplits(LabelledImages(*train), LabelledImages(*test), names)

    def load(self) -> None:
        """Read, split, and put the arrays where batches are gathered from."""
        splits = self.read_embedded() if self.root == EMBEDDED else self.read()
        self.class_names = splits.class_names
        train, test = splits.train, splits.test
        if self.test_fraction is not None:
            train, held_out = train.split_by_class(self.test_fraction, "test_fraction")
            test = test.followed_by(held_out)
        validation = test
        if self.val_fraction:
            train, validation = train.split_by_class(self.val_fraction, "val_fraction")
        self.mean, self.std = channel_statistics(train.images)
        if self.test_noise is not None:
            noisy_test = with_noise(test, self.test_noise, "test_noise")
            validation = noisy_test if validation is test else with_noise(validation, self.test_noise, "val_noise")
            test = noisy_test
        device = self.device if self.on_device else torch.device("cpu")
        self.train_set = ImageArray(train, device)
        self.test_set = ImageArray(test, device)
        self.val_set = self.test_set if validation is test else ImageArray(validation, device)

    @staticmethod
    def collate(samples: Any) -> Any:
        """Return what ``ImageArray`` gathered: it already is a batch."""
        return samples

    def augment_batch(self, batch: Batch) -> Batch:
        """Return randomly changed training images, float [B, 3, H, W] in 0..1."""
        images, targets = batch
        if self.augmentation != "none":
            images, _ = flip_horizontally(images)
        if self.augmentation == "crop_flip":
            images = pad_and_crop(images)
        images = to_float(images)
        if self.augmentation == "jitter_flip" and images.shape[1] == 3:
            images = jitter_colors(images, self.jitter)
        elif self.augmentation == "jitter_flip":
            # Grey images have neither hue nor saturation.
            grey = JitterStrength(self.jitter.brightness, self.jitter.contrast, saturation=0.0, hue=0.0)
            images = jitter_colors(images.repeat(1, 3, 1, 1), grey)
        if self.train_noise is not None:
            images = self.train_noise(images)
        return images, targets

    def prepare_batch(self, batch: Batch) -> Batch:
        """Return normalised float images [B, 3, H, W] and classes long [B]."""
        images, targets = batch
        images = to_float(images)
        mean, std = self.mean.to(images.device), self.std.to(images.device)
        return images.sub(mean).div_(std).expand(-1, 3, -1, -1), targets

    def true_class(self, index: int) -> str:
        """Return the name of the class of test image ``index``."""
        assert isinstance(self.test_set, ImageArray)
        return self.class_names[int(self.test_set.targets[index])]

    def _pin_memory(self) -> bool:
        return super()._pin_memory() and not self.on_device


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation by channel, each [C, 1, 1], of uint8 images [N, C, H, W] scaled to 0..1."""
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for chunk in torch.split(images, _CHUNK):
        values = to_float(chunk)
        total += values.sum(dim=(0, 2, 3)).double()
        squares += values.square_().sum(dim=(0, 2, 3)).double()
    count = images.numel() / images.shape[1]
    mean = total / count
    # A channel without any spread (an all-black channel) would divide by 0.
    std = (squares / count - mean.square()).clamp_min(1e-6).sqrt()
    return mean.float().view(-1, 1, 1), std.float().view(-1, 1, 1)


def with_noise(data: LabelledImages, noise: Noise, key: str) -> LabelledImages:
    """Return a noisy copy, the same for every run."""
    generator = torch.Generator().manual_seed(derive_seed(0, key))
    chunks = [noise(to_float(chunk), generator).mul_(255).round_().byte() for chunk in torch.split(data.images, _CHUNK)]
    return LabelledImages(torch.cat(chunks), data.targets)


def check_labels(targets: Tensor, class_names: list[str], where: str) -> None:
    """Raise a ``UserError`` for the first class number outside of the class names."""
    wrong = torch.nonzero((targets < 0) | (targets >= len(class_names))).flatten()
    if len(wrong):
        index = int(wrong[0])
        raise UserError(
            f"{where}: label {int(targets[index])} of image {index} is out of range: there are {len(class_names)} "
            f"classes, 0 to {len(class_names) - 1}"
        )
