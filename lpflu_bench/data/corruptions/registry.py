"""The corruptions by name, and one of them at one severity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lpflu_bench.data.corruptions.draws import ImageDraws
from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest

Apply = Callable[[Tensor, Any, ImageDraws], Tensor]

SEVERITIES = (1, 2, 3, 4, 5)
_LARGE_IMAGE = 128
"""Images whose shorter side has at least this many pixels get ImageNet-C's levels, smaller ones CIFAR-C's."""


@dataclass(frozen=True)
class Kind:
    """A corruption at all severities.

    Attributes:
        name: as in CIFAR-C.
        group: noise, blur, weather or digital.
        apply: takes float images [B, 3, H, W] in 0..1, a level and the draws; what it returns is clipped to 0..1.
        small: levels of severities 1 to 5 for small images (CIFAR-C, 32 x 32).
        large: the same for large images (ImageNet-C, 224 x 224).
        keeps_geometry: whether objects stay where they are, so that boxes and masks still hold.
    """

    name: str
    group: str
    apply: Apply
    small: tuple[Any, ...]
    large: tuple[Any, ...]
    keeps_geometry: bool


KINDS: dict[str, Kind] = {}
"""Every corruption, in CIFAR-C's order."""


def corruption(
    group: str, *, small: Sequence[Any], large: Sequence[Any], keeps_geometry: bool = True
) -> Callable[[Apply], Apply]:
    """Register a corruption under its function's name (a decorator); see :class:`Kind`."""

    def register(apply: Apply) -> Apply:
        name = apply.__name__
        KINDS[name] = Kind(name, group, apply, tuple(small), tuple(large), keeps_geometry)
        return apply

    return register


@dataclass(frozen=True)
class Corruption:
    """One corruption at one severity, the same for every network that is tested under it.

    After Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
    ICLR 2019: the same operations and levels, batched. Exceptions: ``glass_blur`` moves all pixels at once instead of
    one after the other; ``frost`` draws its ice, where the paper overlays photographs; ``fog`` takes kornia's plasma.
    So errors are close to those on the official arrays, and are not to be mixed with them in one table.

    Args:
        name: one of :data:`KINDS`.
        severity: 1 to 5.
        official: read the arrays that the benchmark's authors published instead of computing (CIFAR-10 and CIFAR-100).
        seed: of its random numbers.

    Raises:
        UserError: there is no such corruption or severity.
    """

    name: str
    severity: int
    official: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise UserError(f"there is no corruption '{self.name}'{nearest(self.name, KINDS) or _all_names()}")
        if self.severity not in SEVERITIES:
            raise UserError(f"corruption {self.name}: severity {self.severity} does not exist; it is 1, 2, 3, 4 or 5")

    @property
    def keeps_geometry(self) -> bool:
        """Whether objects stay where they are."""
        return KINDS[self.name].keeps_geometry

    def __call__(self, images: Tensor, indices: Sequence[int]) -> Tensor:
        """Return corrupted images.

        Args:
            images: [B, C, H, W], C 1 or 3; uint8, or float in 0..1.
            indices: the index of each in its data set, which decides its random numbers.

        Returns:
            The same type and shape; uint8 is rounded, as in a stored image.
        """
        kind = KINDS[self.name]
        values = images if images.is_floating_point() else images.float() / 255
        grey = values.shape[1] == 1
        values = values.expand(-1, 3, -1, -1) if grey else values
        levels = kind.large if min(values.shape[-2:]) >= _LARGE_IMAGE else kind.small
        draws = ImageDraws(self.seed, f"{self.name}-{self.severity}", indices, images.device)
        corrupted = kind.apply(values, levels[self.severity - 1], draws).clamp(0.0, 1.0)
        if grey:
            corrupted = corrupted.mean(dim=1, keepdim=True)
        return corrupted if images.is_floating_point() else corrupted.mul(255).round().to(torch.uint8)


def _all_names() -> str:
    return f"; known are {', '.join(KINDS)}"
