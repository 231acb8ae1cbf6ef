"""Made-up inputs that a network takes, for a run that only looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

_BATCH = 2  # batch norm refuses a single value a channel in training
_SIDES = (224, 256, 96, 32)
SAY_INPUTS = "give it an attribute image_size, the side of the images it takes; in Python, pass inputs= that it takes"
"""What to do where none of :func:`candidates` fits."""


@dataclass(frozen=True)
class Inputs:
    """Arguments of a network's ``forward``."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def on(self, device: str) -> "Inputs":
        """Return the same with every tensor on ``device``."""
        moved: tuple[Any, dict[str, Any]] = tree_map_only(
            Tensor, lambda x: torch.ones_like(x, device=device) if x.is_meta else x.to(device), (self.args, self.kwargs)
        )
        return Inputs(*moved)


def image(height: int, width: int | None = None, channels: int = 3) -> Inputs:
    """Return a batch of two images, square ones unless a width is given."""
    return Inputs((torch.empty(_BATCH, channels, height, width or height, device="meta"),))


def is_detector(network: nn.Module) -> bool:
    """Whether ``network`` takes a list of images, as torchvision's detectors do."""
    return hasattr(getattr(network, "transform", None), "image_mean") and hasattr(network, "backbone")


def candidates(network: nn.Module) -> Iterator[Inputs]:
    """Yield inputs that the network may take, the likeliest first."""
    if is_detector(network):
        yield Inputs(([torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))],))
        return
    if getattr(network, "main_input_name", "pixel_values") != "pixel_values":  # Hugging Face
        yield Inputs((), {str(network.main_input_name): torch.ones(_BATCH, 16, dtype=torch.long, device="meta")})
        return
    first = next((m for m in network.modules() if getattr(m, "weight", None) is not None), None)
    if isinstance(first, nn.Embedding):
        yield Inputs((torch.ones(_BATCH, 16, dtype=torch.long, device="meta"),))
    elif isinstance(first, nn.Linear):
        yield Inputs((torch.empty(_BATCH, first.in_features, device="meta"),))
        yield Inputs((torch.empty(_BATCH, 16, first.in_features, device="meta"),))
    elif isinstance(first, (nn.Conv1d, nn.Conv3d)):
        sides = (64,) if isinstance(first, nn.Conv1d) else (16, 32, 32)
        yield Inputs((torch.empty(_BATCH, first.in_channels, *sides, device="meta"),))
    elif isinstance(first, nn.TransformerEncoderLayer):
        return
    channels = first.in_channels if isinstance(first, nn.Conv2d) else 3
    yield from (image(side, channels=channels) for side in likely_sides(network))
    if isinstance(first, (nn.LayerNorm, nn.MultiheadAttention)):
        width = first.normalized_shape[-1] if isinstance(first, nn.LayerNorm) else first.embed_dim
        yield Inputs((torch.empty(_BATCH, 16, width, device="meta"),))


def likely_sides(network: nn.Module) -> list[int]:
    """Return sides of square images that ``network`` may take: what timm, torchvision or Hugging Face notes of it first."""
    patches = getattr(getattr(network, "patch_embed", None), "img_size", None) or [None]
    declared = [patches[-1], (getattr(network, "pretrained_cfg", None) or {}).get("input_size", [None])[-1]]
    declared += [getattr(holder, "image_size", None) for holder in (network, getattr(network, "config", None))]
    return list(dict.fromkeys([*(side for side in declared if isinstance(side, int)), *_SIDES]))


@contextmanager
def small_images(network: nn.Module) -> Iterator[None]:
    """Make a detector's own resizing aim at small images for a while."""
    transform: Any = getattr(network, "transform", None)
    if not is_detector(network) or getattr(transform, "fixed_size", None) is not None:
        yield
        return
    sizes = transform.min_size, transform.max_size
    transform.min_size, transform.max_size = (128,), 160
    try:
        yield
    finally:
        transform.min_size, transform.max_size = sizes
