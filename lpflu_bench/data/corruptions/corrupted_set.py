"""A test set under a corruption: computed, or read from the benchmark's official arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lpflu_bench.data.corruptions.registry import SEVERITIES, Corruption
from lpflu_bench.errors import UserError


class CorruptedSet(Dataset[Any]):
    """A data set whose batches are tuples with uint8 images [B, C, H, W] first, these corrupted."""

    def __init__(self, dataset: Dataset[Any], corruption: Corruption) -> None:
        self.dataset, self.corruption = dataset, corruption

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitems__(self, indices: list[int]) -> tuple[Any, ...]:
        """Return a batch."""
        images, *targets = self.dataset.__getitems__(indices)  # type: ignore[attr-defined]
        return (self.corruption(images, indices), *targets)


class OfficialArrays(Dataset[Any]):
    """The corrupted images that the benchmark's authors published: ``DIR/fog.npy`` and ``DIR/labels.npy``.

    An array holds the test set five times over, uint8 [5 N, 32, 32, 3], severity 1 first.

    Args:
        folder: unpacked ``CIFAR-10-C`` or ``CIFAR-100-C``.
        corruption: which array and severity.
        targets: the test set's classes, long [N]; the arrays must be in the same order.

    Raises:
        UserError: a file is missing or is not what it should be.
    """

    def __init__(self, folder: Path, corruption: Corruption, targets: Tensor) -> None:
        file = folder / f"{corruption.name}.npy"
        images, labels = _load(file), _load(folder / "labels.npy")
        count = len(targets)
        if images.dtype != np.uint8 or images.shape[1:] != (32, 32, 3) or len(images) != len(SEVERITIES) * count:
            raise UserError(
                f"{file}: {images.dtype} {list(images.shape)} is not {count} images at 5 severities; download it again"
            )
        rows = slice((corruption.severity - 1) * count, corruption.severity * count)
        if not np.array_equal(labels[rows], targets.cpu().numpy()):
            raise UserError(
                f"{folder / 'labels.npy'}: not the test set's classes in its order; is it of another data set?"
            )
        self.images, self.targets = images[rows], targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return a batch: images uint8 [B, 3, 32, 32] and classes."""
        images = torch.from_numpy(self.images[list(indices)]).permute(0, 3, 1, 2)
        where = torch.tensor(list(indices), device=self.targets.device)
        return images.to(self.targets.device), self.targets[where]


def _load(file: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{file}: cannot be read ({error}); unpack the official CIFAR-10-C or CIFAR-100-C archive into data.root"
        ) from error
    return array
