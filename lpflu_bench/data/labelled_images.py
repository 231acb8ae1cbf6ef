"""Images with one class each as data sets that gather a whole batch at once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lpflu_bench.data.augment import Noise, to_float
from lpflu_bench.devices import send
from lpflu_bench.errors import UserError
from lpflu_bench.seeding import derive_seed

Batch = tuple[Tensor, Tensor]


class LabelledImages(Dataset[Batch], ABC):
    """Images of one size with their classes; no Python runs for each sample where they are in memory.

    Attributes:
        targets: classes, long [N].
    """

    targets: Tensor

    @abstractmethod
    def images_at(self, indices: Sequence[int]) -> Tensor:
        """Return images as a new tensor, uint8 [len(indices), C, H, W], C 1 or 3."""

    @abstractmethod
    def subset(self, indices: Tensor) -> Self:
        """Return some of them: indices long, or bool [N]."""

    @abstractmethod
    def followed_by(self, others: Self) -> Self:
        """Return these and others in one."""

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """Return them in the memory of a device."""

    def sample_indices(self) -> range:
        """Return the images that channel statistics are taken of: all."""
        return range(len(self))

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Batch:
        return self.images_at([index])[0], self.targets[index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return the batch of these indices (what torch's loader calls when a data set has it)."""
        return self.images_at(indices), self.targets[send(torch.tensor(indices), self.targets.device)]

    def split_by_class(self, share: float, key: str) -> tuple[Self, Self]:
        """Return what is kept and a share of each class that is held out: the same images for every run's seed.

        Args:
            share: in (0, 1).
            key: the setting that asks for it; each has its own images.

        Raises:
            UserError: nothing would be held out, or nothing kept.
        """
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(derive_seed(0, key)))
        held_out = torch.zeros(len(self), dtype=torch.bool)
        for label in torch.unique(self.targets).tolist():
            members = order[self.targets[order] == label]
            held_out[members[: round(share * len(members))]] = True
        if not held_out.any() or held_out.all():
            raise UserError(f"data.{key} {share} leaves no image to {'train on' if held_out.all() else 'hold out'}")
        return self.subset(~held_out), self.subset(held_out)


class ImageArray(LabelledImages):
    """Images in one tensor.

    Args:
        images: uint8 [N, C, H, W], C 1 or 3.
        targets: classes, long [N].
    """

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        self.images = images
        self.targets = targets

    def images_at(self, indices: Sequence[int]) -> Tensor:
        """Return images, uint8 [len(indices), C, H, W]: one indexed copy."""
        return self.images.index_select(0, send(torch.tensor(indices), self.images.device))

    def subset(self, indices: Tensor) -> "ImageArray":
        """Return a copy of some of them: indices long, or bool [N]."""
        return ImageArray(self.images[indices], self.targets[indices])

    def followed_by(self, others: "ImageArray") -> "ImageArray":
        """Return a copy of these and others in one."""
        return ImageArray(torch.cat([self.images, others.images]), torch.cat([self.targets, others.targets]))

    def to(self, device: torch.device) -> "ImageArray":
        """Return them in the memory of a device."""
        return ImageArray(self.images.to(device), self.targets.to(device))


class NoisyImages(Dataset[Batch]):
    """A data set's images under noise that depends on a purpose and the image's index alone: the same for every run.

    Args:
        clean: the images.
        noise: what is done to them.
        purpose: another purpose gives other noise.
    """

    def __init__(self, clean: LabelledImages, noise: Noise, purpose: str) -> None:
        self.clean, self.noise, self.purpose = clean, noise, purpose
        self.targets = clean.targets

    def __len__(self) -> int:
        return len(self.clean)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a batch, the images rounded to uint8 as stored ones would be."""
        images, targets = self.clean.__getitems__(indices)
        noisy = []
        for index, image in zip(indices, torch.split(images.cpu(), 1), strict=True):
            generator = torch.Generator().manual_seed(derive_seed(0, self.purpose, index))
            noisy.append(self.noise(to_float(image), generator).mul_(255).round_().byte())
        return torch.cat(noisy).to(images.device), targets
