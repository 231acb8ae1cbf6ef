"""Blur."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import filter2d, gaussian_blur2d, get_gaussian_kernel2d
from torch import Tensor

from lpflu_bench.data.corruptions.draws import ImageDraws
from lpflu_bench.data.corruptions.registry import corruption


def gaussian_blur(images: Tensor, sigma: float, *, truncate: float = 4.0) -> Tensor:
    """Blur with a Gaussian that is cut ``truncate`` standard deviations from its centre; edges are repeated."""
    size = 2 * int(truncate * sigma + 0.5) + 1
    return gaussian_blur2d(images, (size, size), (sigma, sigma), border_type="replicate") if size > 1 else images


@corruption(
    "blur",
    small=((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    large=((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
)
def defocus_blur(images: Tensor, level: tuple[float, float], draws: ImageDraws) -> Tensor:
    """Average over a disk of a radius whose edge is smoothed by a small Gaussian."""
    kernel = disk(*level).to(images)
    return filter2d(images, kernel[None], border_type="reflect")


def disk(radius: float, edge_sigma: float) -> Tensor:
    """Return the kernel of a defocused lens, float32 [K, K], of sum 1."""
    reach = math.floor(radius) + 2  # room for the smoothed edge, which reaches 1 pixel, or 2 from radius 8 on
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    inside = (offsets[:, None].square() + offsets.square() <= radius**2).float()
    edge_size = 3 if radius <= 8 else 5
    smooth = get_gaussian_kernel2d((edge_size, edge_size), (edge_sigma, edge_sigma))
    return F.conv2d((inside / inside.sum())[None, None], smooth[None], padding=edge_size // 2)[0, 0]


@corruption(
    "blur",
    small=((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    large=((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
)
def glass_blur(images: Tensor, level: tuple[float, int, int], draws: ImageDraws) -> Tensor:
    """Blur, let each pixel take the value of a random neighbour, some times over, and blur again."""
    sigma, reach, times = level
    height, width = images.shape[-2:]
    values = gaussian_blur(images, sigma)
    for _ in range(times):
        rows, columns = draws.integers(-reach, reach, 2, height, width).unbind(1)
        rows = (torch.arange(height, device=images.device)[:, None] + rows).clamp(0, height - 1)
        columns = (torch.arange(width, device=images.device) + columns).clamp(0, width - 1)
        source = (rows * width + columns).flatten(1)[:, None].expand(-1, images.shape[1], -1)
        values = values.flatten(2).gather(2, source).view_as(images)
    return gaussian_blur(values, sigma)


@corruption(
    "blur",
    small=((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    large=((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
)
def motion_blur(images: Tensor, level: tuple[int, float], draws: ImageDraws) -> Tensor:
    """Smear along a random direction of at most 45 degrees from the horizontal."""
    return smear(images, *level, draws.uniform(low=-45.0, high=45.0))


def smear(images: Tensor, radius: int, sigma: float, degrees: Tensor) -> Tensor:
    """Average each image along its own direction, in ImageMagick's way: one-sided, half a Gaussian, whole pixels.

    kornia's ``motion_blur`` weights the line linearly, on both sides.

    Args:
        images: [B, C, H, W].
        radius: ``2 * radius + 1`` pixels of the line count.
        sigma: of the Gaussian weights in pixels.
        degrees: [B], 0 along a row.
    """
    height, width = images.shape[-2:]
    steps = torch.arange(2 * radius + 1, device=images.device)
    weights = torch.exp(-steps.square() / (2 * sigma**2))
    weights = weights / weights.sum()
    angles = torch.deg2rad(degrees)
    row_offsets = -torch.ceil(steps[:, None] * torch.sin(angles) - 0.5).long()  # [steps, B]
    column_offsets = -torch.ceil(steps[:, None] * torch.cos(angles) - 0.5).long()
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    last_first = images.permute(0, 2, 3, 1)
    result = torch.zeros_like(last_first)
    for weight, down, right in zip(weights, row_offsets, column_offsets, strict=True):
        rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
        columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)
        result += weight * last_first[batch, rows[:, :, None], columns[:, None, :]]
    return result.permute(0, 3, 1, 2)


@corruption(
    "blur",
    small=[np.arange(1, last, 0.01) for last in (1.06, 1.11, 1.16, 1.21, 1.26)],
    large=[
        np.arange(1, last, step)
        for last, step in ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
    ],
    keeps_geometry=False,
)
def zoom_blur(images: Tensor, zooms: "np.ndarray[tuple[int], np.dtype[np.float64]]", draws: ImageDraws) -> Tensor:
    """Average the image with itself zoomed in by several factors."""
    total = images
    for factor in zooms.tolist():
        total = total + zoom(images, factor)
    return total / (len(zooms) + 1)


def zoom(images: Tensor, factor: float) -> Tensor:
    """Enlarge the middle of images [B, C, H, W] bilinearly by a factor >= 1 and crop to the old size."""
    height, width = images.shape[-2:]
    kept_height, kept_width = math.ceil(height / factor), math.ceil(width / factor)
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    middle = images[..., top : top + kept_height, left : left + kept_width]
    size = (round(kept_height * factor), round(kept_width * factor))
    enlarged = F.interpolate(middle, size=size, mode="bilinear", align_corners=True)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return enlarged[..., top : top + height, left : left + width]
