"""Random changes of image batches on the device, with parameters drawn for each image.

Everything takes and returns float images [B, 3, H, W] in 0..1 and draws from torch's global generators, which
``BenchDataModule.on_after_batch_transfer`` seeds for each batch. Parameters are drawn on the CPU, so that they
are the same on every device, and travel there in one copy. kornia's ``ColorJiggle`` does the same with several times as
many passes over the images; on a CPU a small network's step would wait for it (`benchmarks/pipeline.py` measures both).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lpflu_bench.devices import send
from lpflu_bench.errors import UserError

# ITU-R BT.601 luma as torchvision's `rgb_to_grayscale` rounds it.
_LUMA = (0.2989, 0.587, 0.114)
_PIXELS_AT_ONCE = 2**18


@dataclass(frozen=True)
class JitterStrength:
    """Strengths of the colour jitter, with torchvision's meaning. 0 leaves that property alone.

    The paper names a "random colour-space transformation" without strengths; these are a choice, the ones
    that MoCo v2 and many ImageNet recipes use.

    Args:
        brightness: factor drawn from [max(0, 1 - s), 1 + s] for each image.
        contrast: likewise.
        saturation: likewise.
        hue: shift drawn from [-s, s] turns of the colour circle, s <= 0.5.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= (0.5 if name == "hue" else float("inf")):
                raise UserError(f"jitter.{name} is {value}: it must be {'in [0, 0.5]' if name == 'hue' else '>= 0'}")


@dataclass(frozen=True)
class Noise:
    """Noise on images in 0..1; the result is cut to 0..1, as a stored image would be.

    Args:
        kind: ``gaussian`` adds a normal deviate to each value; ``salt_and_pepper`` makes a pixel black or white;
            ``impulse`` replaces single values by uniform ones.
        strength: gaussian: the standard deviation; else the share of pixels (values) that are hit. The paper's
            Table 3 has N(0, 0.1) and does not say whether 0.1 is the standard deviation (then it is 0.1 here) or the
            variance (0.316 here).
    """

    kind: Literal["gaussian", "salt_and_pepper", "impulse"] = "gaussian"
    strength: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= (float("inf") if self.kind == "gaussian" else 1):
            raise UserError(
                f"noise strength {self.strength}: {'>= 0' if self.kind == 'gaussian' else 'in [0, 1]'} expected"
            )

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return noisy images of [B, C, H, W] in 0..1."""
        if self.kind == "gaussian":
            noise = torch.empty_like(images).normal_(0.0, self.strength, generator=generator)
            return noise.add_(images).clamp_(0.0, 1.0)
        if self.kind == "salt_and_pepper":
            draw = torch.empty_like(images[:, :1]).uniform_(generator=generator)
            salted = torch.where(draw < self.strength / 2, 0.0, images)
            return torch.where(draw > 1 - self.strength / 2, 1.0, salted)
        hit = torch.empty_like(images).uniform_(generator=generator) < self.strength
        return torch.where(hit, torch.empty_like(images).uniform_(generator=generator), images)


def to_float(images: Tensor) -> Tensor:
    """Return float images in 0..1 of uint8 ones; float ones as they are."""
    return images if images.is_floating_point() else images.float().div_(255)


def flip_horizontally(images: Tensor, probability: float = 0.5) -> tuple[Tensor, Tensor]:
    """Mirror each image with a probability.

    Args:
        images: [B, C, H, W] of any dtype.
        probability: of an image to be mirrored.

    Returns:
        The images, and which were mirrored, bool [B] (for boxes and masks).
    """
    count = len(images)
    flipped = send(torch.rand(count) < probability, images.device)
    # Whole images are copied, which on a CPU is several times as fast as torch.where's choice for each value.
    both = torch.cat([images, images.flip(-1)])
    return both.index_select(0, torch.arange(count, device=images.device) + count * flipped), flipped


def crop_and_flip(
    images: Tensor, masks: Tensor, size: tuple[int, int], *, mirror: bool = True
) -> tuple[Tensor, Tensor]:
    """Cut a random window out of each image and its mask, and mirror each pair with probability 1/2.

    Args:
        images: [B, 3, H, W].
        masks: [B, H, W].
        size: height and width of the windows, at most H and W.
        mirror: whether pairs are mirrored at all.

    Returns:
        [B, 3, *size] and [B, *size].
    """
    batch, _, height, width = images.shape
    # Drawn on the CPU, so that they are the same on every device.
    tops = torch.randint(height - size[0] + 1, (batch,)).tolist()
    lefts = torch.randint(width - size[1] + 1, (batch,)).tolist()
    mirrored = (torch.rand(batch) < 0.5).tolist() if mirror else [False] * batch
    cropped, labels = images.new_empty(batch, images.shape[1], *size), masks.new_empty(batch, *size)
    # Copies of windows: on a CPU a gather over all pixels takes four times as long.
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        window = slice(top, top + size[0]), slice(left, left + size[1])
        image, mask = images[i][:, *window], masks[i][*window]
        cropped[i] = image.flip(-1) if mirrored[i] else image
        labels[i] = mask.flip(-1) if mirrored[i] else mask
    return cropped, labels


def jitter_colors(images: Tensor, strength: JitterStrength) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image by its own random amounts.

    The same operations, on floats, as torchvision's ``ColorJitter``; one random order of the four for the batch.

    Args:
        images: float [B, 3, H, W] in 0..1. **Overwritten.**
        strength: bounds of the random amounts.

    Returns:
        ``images``.
    """
    order = torch.randperm(4).tolist()
    draws = torch.rand(4, len(images), dtype=torch.float32)
    for row, bound in enumerate((strength.brightness, strength.contrast, strength.saturation)):
        low = max(0.0, 1.0 - bound)
        draws[row].mul_(1.0 + bound - low).add_(low)
    draws[3].mul_(2 * strength.hue).sub_(strength.hue)
    amounts = send(draws, images.device).to(images.dtype)
    changes = (adjust_brightness_, adjust_contrast_, adjust_saturation_, adjust_hue_)
    bounds = (strength.brightness, strength.contrast, strength.saturation, strength.hue)
    # On a CPU a few large images at a time: their temporaries then stay in the cache, which halves the time.
    at_once = len(images) if images.is_cuda else max(1, _PIXELS_AT_ONCE // images[0, 0].numel())
    for part, amount in zip(torch.split(images, at_once), torch.split(amounts, at_once, dim=1), strict=True):
        for which in order:
            if bounds[which] > 0:
                changes[which](part, amount[which])
    return images


def adjust_brightness_(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply each image [B, 3, H, W] by its factor [B], in place."""
    return images.mul_(factor.view(-1, 1, 1, 1)).clamp_(0.0, 1.0)


def adjust_contrast_(images: Tensor, factor: Tensor) -> Tensor:
    """Blend each image [B, 3, H, W] with its mean grey: factor [B] 0 is all grey, 1 the image. In place."""
    means = images.mean(dim=(2, 3))
    grey = sum(weight * means[:, channel] for channel, weight in enumerate(_LUMA))
    return _blend_(images, factor, torch.as_tensor(grey).view(-1, 1, 1, 1))


def adjust_saturation_(images: Tensor, factor: Tensor) -> Tensor:
    """Blend each image [B, 3, H, W] with its grey version: factor [B] 0 is grey, 1 the image. In place."""
    red, green, blue = images.unbind(1)
    grey = (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])
    return _blend_(images, factor, grey.unsqueeze(1))


def _blend_(images: Tensor, factor: Tensor, other: Tensor) -> Tensor:
    factor = factor.view(-1, 1, 1, 1)
    return images.mul_(factor).add_(other * (1 - factor)).clamp_(0.0, 1.0)


def adjust_hue_(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of each image [B, 3, H, W] by its shift [B] (in turns of the colour circle), in place.

    Value and saturation stay, so only the hue is computed, and no HSV image. With the largest value v, the smallest m
    and c = v - m, a colour lies 1 + (green + blue - red - m) / c sixths of a turn from red, on the side of the larger of
    green and blue. A hue of h sixths, 0 <= h < 6, has red = m + c clamp(|h - 3| - 1, 0, 1), green and blue likewise
    from 2 - |h - 2| and 2 - |h - 4|. Arithmetic alone: on a CPU a comparison or a choice costs as much as ten operations.
    """
    red, green, blue = images.unbind(1)
    largest = torch.maximum(red, green).clamp_min_(blue)
    smallest = torch.minimum(red, green).clamp_max_(blue)
    chroma = largest - smallest
    six_chromas = chroma * 6.0
    turns = (green + blue).sub_(red).sub_(smallest).div_(six_chromas.clamp_min(torch.finfo(images.dtype).tiny))
    turns.add_(1 / 6).copysign_(green - blue).add_((shift + 1.0).view(-1, 1, 1)).frac_()
    hue = turns.mul_(six_chromas)  # in sixths, times the chroma
    below, above = smallest - chroma, torch.add(smallest, chroma, alpha=2.0)
    values = (
        torch.sub(hue, chroma, alpha=3.0).abs_().add_(below),
        above - torch.sub(hue, chroma, alpha=2.0).abs_(),
        above - torch.sub(hue, chroma, alpha=4.0).abs_(),
    )
    for channel, value in zip((red, green, blue), values, strict=True):
        torch.clamp(value, smallest, largest, out=channel)
    return images
