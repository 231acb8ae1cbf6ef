"""Random numbers for a batch of images, each image's from a generator of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lpflu_bench.seeding import derive_seed


class ImageDraws:
    """Draws that depend on a seed, a purpose and the image's index in its data set, and on nothing else.

    So a corrupted test set is the same whatever the batch size, the number of devices and the device: numbers are drawn
    on the CPU.

    Args:
        seed: of the whole set.
        purpose: another purpose gives other numbers.
        indices: the index of each image of the batch.
        device: where the numbers are needed.
    """

    def __init__(self, seed: int, purpose: str, indices: Sequence[int], device: torch.device) -> None:
        self._generators = [torch.Generator().manual_seed(derive_seed(seed, purpose, index)) for index in indices]
        self._device = device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return uniform numbers in [low, high), float32 [B, *shape]."""
        drawn = [torch.rand(shape, generator=generator) for generator in self._generators]
        return torch.stack(drawn).to(self._device) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers, float32 [B, *shape]."""
        return torch.stack([torch.randn(shape, generator=generator) for generator in self._generators]).to(self._device)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Return whole numbers in [low, high), int64 [B, *shape]."""
        drawn = [torch.randint(low, high, shape, generator=generator) for generator in self._generators]
        return torch.stack(drawn).to(self._device)

    def poisson(self, rates: Tensor) -> Tensor:
        """Return Poisson counts of the given rates [B, ...]."""
        pairs = zip(rates.cpu(), self._generators, strict=True)
        return torch.stack([torch.poisson(rate, generator=generator) for rate, generator in pairs]).to(self._device)
