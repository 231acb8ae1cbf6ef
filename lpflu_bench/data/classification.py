"""Image classification: images of one size with one class each, augmented in batches on the device."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lpflu_bench.data.augment import JitterStrength, Noise, flip_horizontally, jitter_colors, to_float
from lpflu_bench.data.base import BenchDataModule
from lpflu_bench.data.classification_augment import (
    Mixing,
    RandAugment,
    crop_and_resize,
    erase,
    fit_to,
    pad_and_crop,
)
from lpflu_bench.data.corruptions import Corruption
from lpflu_bench.data.embedded import EMBEDDED
from lpflu_bench.data.labelled_images import Batch, ImageArray, LabelledImages, NoisyImages
from lpflu_bench.data.synthetic_shapes import draw_shapes
from lpflu_bench.errors import UserError, check_range

_DEFAULT_JITTER = JitterStrength()
_CHUNK = 4096  # images converted to float at once
_TEST_SHARE = 0.2


@dataclass(frozen=True)
class ImageSplits:
    """What a reader returns.

    Attributes:
        train: what is trained on.
        test: what is tested on; null: a share of ``train``.
        class_names: in the order of the class numbers.
        validation: null: the test images.
    """

    train: LabelledImages
    test: LabelledImages | None
    class_names: list[str]
    validation: LabelledImages | None = None


class ClassificationData(BenchDataModule):
    """Base of the classification sets. A subclass implements ``read`` alone.

    Batches are images, float [B, 3, H, W] normalised by channel with mean and standard deviation of the training
    images, and classes, long [B] (shares of the classes, float [B, num_classes], in training with ``mixing``). With
    ``root: embedded`` the project's own drawn shapes stand in for the set.

    Args:
        root: Folder that holds the data; ``embedded`` for the drawn stand-in.
        batch_size: Training images in a batch on each device; the last partial batch of an epoch is dropped.
        test_batch_size: Images in a batch of validation, test and prediction on each device; as ``batch_size`` if null.
        num_workers: Processes that load batches; 0 is fastest for images in memory, a batch is one indexed copy.
        seed: Seed of order and augmentation; the run's if null.
        augmentation: Of training images: ``jitter_flip`` (the paper's: colour jitter and horizontal flip), ``crop_flip``
            (the usual one for CIFAR: a crop after padding by 4 black pixels, and horizontal flip), ``resized_crop_flip``
            (the usual one for ImageNet: a window of 8 to 100 % of the area, resized, and horizontal flip), ``flip`` or
            ``none``.
        jitter: Strengths of the colour jitter.
        rand_augment: RandAugment's operations after crop and flip; null: none.
        erasing: Probability of a training image to have a random rectangle erased, in (0, 1]; null: none.
        mixing: mixup and CutMix of training batches; null: none.
        train_noise: Noise on training images, anew each time, after the other augmentation (the paper's Table 3).
        test_noise: Noise on test and validation images, the same for every run, so that all networks see one noisy test
            set whatever their batch size and number of devices.
        val_fraction: Share of each class's training images, in [0, 1), that is held out for validation: the same ones for
            every seed. 0: validation on the test set, as the paper's Fig. 9; nothing is selected by it.
        test_fraction: Share of each class's training images, in (0, 1), that is tested on instead, after the test images:
            the same ones for every seed. A larger test set tells functions apart that few test images cannot. Null:
            none, unless the set has no test images; then it is 0.2.
        on_device: Keep the images on the training device: the fastest for a GPU with memory to spare.
        test_corruption: What corrupts the images of test and prediction, the same for every run.
    """

    located_targets = False

    embedded_classes: int = 10
    """Number of classes of the embedded stand-in: 10 or 100."""

    image_size: int | None = None
    """Height and width that the network gets, where the stored images are larger."""

    train_set: LabelledImages
    val_set: LabelledImages | NoisyImages
    test_set: LabelledImages | NoisyImages

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 128,
        test_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int | None = None,
        augmentation: Literal["jitter_flip", "crop_flip", "resized_crop_flip", "flip", "none"] = "jitter_flip",
        jitter: JitterStrength = _DEFAULT_JITTER,
        rand_augment: RandAugment | None = None,
        erasing: float | None = None,
        mixing: Mixing | None = None,
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
        if erasing is not None:
            check_range("data.erasing", erasing, above=0, at_most=1)
        if on_device and num_workers:
            raise UserError(
                f"data.on_device needs data.num_workers 0, not {num_workers}: no process has to load anything"
            )
        self.augmentation = augmentation
        self.jitter = jitter
        self.rand_augment = rand_augment
        self.erasing = erasing
        self.mixing = mixing
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
        return ImageSplits(ImageArray(*train), ImageArray(*test), names)

    def place(self, images: LabelledImages, name: str) -> LabelledImages:
        """Put the images of a set where batches are gathered from.

        Args:
            images: of the set.
            name: of the set, for people.
        """
        return images.to(self.device) if self.on_device else images

    def load(self) -> None:
        """Read, split, and put the images where batches are gathered from."""
        splits = self.read_embedded() if self.root == EMBEDDED else self.read()
        self.class_names = splits.class_names
        train, test, validation = splits.train, splits.test, splits.validation
        if test is None:
            train, test = train.split_by_class(self.test_fraction or _TEST_SHARE, "test_fraction")
        elif self.test_fraction is not None:
            train, held_out = train.split_by_class(self.test_fraction, "test_fraction")
            test = test.followed_by(held_out)
        if self.val_fraction:
            train, validation = train.split_by_class(self.val_fraction, "val_fraction")
        self.train_set = self.place(train, "training")
        self.mean, self.std = (values.to(self.device) for values in channel_statistics(self.train_set))
        self.test_set = self._noisy(self.place(test, "test"), "test_noise")
        self.val_set = self.test_set
        if validation is not None:
            self.val_set = self._noisy(self.place(validation, "validation"), "val_noise")

    def _noisy(self, images: LabelledImages, purpose: str) -> LabelledImages | NoisyImages:
        return images if self.test_noise is None else NoisyImages(images, self.test_noise, purpose)

    @staticmethod
    def collate(samples: Any) -> Any:
        """Return what the data set gathered: it already is a batch."""
        return samples

    def augment_batch(self, batch: Batch) -> Batch:
        """Return randomly changed training images, float [B, 1 or 3, H, W] in 0..1, and their classes."""
        images, targets = batch
        if self.augmentation != "none":
            images, _ = flip_horizontally(images)
        if self.augmentation == "crop_flip":
            images = pad_and_crop(images)
        elif self.augmentation == "resized_crop_flip":
            images = crop_and_resize(images, self.image_size or images.shape[-1])
        if self.rand_augment is not None:
            images = self.rand_augment(images)
        images = to_float(images)
        if self.augmentation == "jitter_flip" and images.shape[1] == 3:
            images = jitter_colors(images, self.jitter)
        elif self.augmentation == "jitter_flip":
            # Grey images have neither hue nor saturation.
            grey = JitterStrength(self.jitter.brightness, self.jitter.contrast, saturation=0.0, hue=0.0)
            images = jitter_colors(images.repeat(1, 3, 1, 1), grey)
        if self.train_noise is not None:
            images = self.train_noise(images)
        if self.erasing is not None:
            images = erase(images, self.erasing, self.mean.to(images.device))
        if self.mixing is not None:
            images, targets = self.mixing(images, targets, self.num_classes)
        return images, targets

    def prepare_batch(self, batch: Batch) -> Batch:
        """Return normalised float images [B, 3, H, W], cut to the network's size, and their classes."""
        images, targets = batch
        images = to_float(images if self.image_size is None else fit_to(images, self.image_size))
        mean, std = self.mean.to(images.device), self.std.to(images.device)  # there, unless another trainer came
        return images.sub(mean).div_(std).expand(-1, 3, -1, -1), targets

    def true_class(self, index: int) -> str:
        """Return the name of the class of test image ``index``."""
        return self.class_names[int(self.test_set.targets[index])]

    @property
    def image_sizes(self) -> set[tuple[int, int]]:
        """Height and width of the images."""
        if self.image_size is not None:
            return {(self.image_size, self.image_size)}
        images = getattr(self.train_set, "images", None)
        return {(images.shape[-2], images.shape[-1])} if isinstance(images, Tensor) else set()

    def _pin_memory(self) -> bool:
        return super()._pin_memory() and not self.on_device


def channel_statistics(data: LabelledImages) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation by channel, each [C, 1, 1], of the images' values scaled to 0..1.

    They are those of all images in one array, and of at most 2,000 image files, evenly spaced.
    """
    used = data.sample_indices()
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for start in range(0, len(used), _CHUNK):
        values = to_float(data.images_at(used[start : start + _CHUNK])).cpu()
        count += values.numel() // values.shape[1]
        total = total + values.sum(dim=(0, 2, 3)).double()
        squares = squares + values.square_().sum(dim=(0, 2, 3)).double()
    mean = total / count
    # A channel without any spread (an all-black channel) would divide by 0.
    std = (squares / count - mean.square()).clamp_min(1e-6).sqrt()
    return mean.float().view(-1, 1, 1), std.float().view(-1, 1, 1)


def check_labels(targets: Tensor, class_names: list[str], where: str) -> None:
    """Raise a ``UserError`` for the first class number outside of the class names."""
    wrong = torch.nonzero((targets < 0) | (targets >= len(class_names))).flatten()
    if len(wrong):
        index = int(wrong[0])
        raise UserError(
            f"{where}: label {int(targets[index])} of image {index} is out of range: there are {len(class_names)} "
            f"classes, 0 to {len(class_names) - 1}"
        )
