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


def flip_horizontally(images: Tensor, probability: float = 0.5) -> tuple[Tensor, Tensor]:
    """Mirror each image with a probability.

    Args:
        images: [B, C, H, W] of any dtype.
        probability: of an image to be mirrored.

    Returns:
        The images, and which were mirrored, bool [B] (for boxes and masks).
    """
    flipped = (torch.rand(len(images)) < probability).to(images.device)
    return torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images), flipped


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
    amounts = draws.to(images.device, non_blocking=True).to(images.dtype)
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

    Value and saturation stay, so only the hue is computed, and no HSV image: with the largest value v, the smallest
    m and hue h in sixths, red = m + (v - m) clamp(|h - 3| - 1, 0, 1), green and blue likewise from |h - 2| and |h - 4|.
    """
    red, green, blue = images.unbind(1)
    largest = torch.maximum(torch.maximum(red, green), blue)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    chroma = largest - smallest
    green_is_largest = green == largest
    # The hue in sixths: difference of the other two channels / chroma + 0, 2 or 4. Red comes first where two are equal.
    difference = torch.where(green_is_largest, blue - red, red - green)
    offset = torch.where(green_is_largest, 2.0, 4.0)
    red_is_largest = red == largest
    difference = torch.where(red_is_largest, green - blue, difference)
    hue = difference.div_(chroma.clamp_min(torch.finfo(images.dtype).tiny))
    hue.add_(offset.masked_fill_(red_is_largest, 0.0)).add_((6.0 * shift).view(-1, 1, 1))
    hue.sub_((hue / 6.0).floor_().mul_(6.0))
    for channel, centre, sign in ((0, 3.0, 1.0), (1, 2.0, -1.0), (2, 4.0, -1.0)):
        share = (hue - centre).abs_().mul_(sign).add_(-sign if sign > 0 else 2.0).clamp_(0.0, 1.0)
        torch.addcmul(smallest, chroma, share, out=images[:, channel])
    return images
