"""Digital corruptions."""

import torch
import torch.nn.functional as F
from kornia.enhance import jpeg_codec_differentiable
from kornia.geometry.transform import warp_affine
from torch import Tensor

from lpflu_bench.data.corruptions.blur import gaussian_blur
from lpflu_bench.data.corruptions.draws import ImageDraws
from lpflu_bench.data.corruptions.registry import corruption


@corruption("digital", small=(0.75, 0.5, 0.4, 0.3, 0.15), large=(0.4, 0.3, 0.2, 0.1, 0.05))
def contrast(images: Tensor, share: float, draws: ImageDraws) -> Tensor:
    """Keep a share of each channel's difference from its mean."""
    means = images.mean(dim=(2, 3), keepdim=True)
    return (images - means) * share + means


@corruption(
    "digital",
    small=((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)),
    large=((488, 170.8, 24.4), (488, 19.52, 48.8), (12.2, 2.44, 4.88), (17.08, 2.44, 4.88), (29.28, 2.44, 4.88)),
    keeps_geometry=False,
)
def elastic_transform(images: Tensor, level: tuple[float, float, float], draws: ImageDraws) -> Tensor:
    """Move three points of the image at random (an affine map), then every pixel by a smooth random field."""
    amount, sigma, reach = level
    height, width = images.shape[-2:]
    center = torch.tensor([height // 2, width // 2], dtype=torch.float32, device=images.device)
    side = min(height, width) // 3
    corners = center + side * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]], device=images.device)
    moved = corners + draws.uniform(3, 2, low=-reach, high=reach)
    # The matrix that takes the corners (with a 1 appended) to where they have moved.
    matrix = torch.linalg.solve(F.pad(corners, (0, 1), value=1.0), moved).mT
    images = warp_affine(images, matrix, (height, width), padding_mode="reflection", align_corners=True)
    noise = draws.uniform(2, height, width, low=-1.0, high=1.0)
    return displace(images, amount * gaussian_blur(noise, sigma, truncate=3.0)) if amount else images


def displace(images: Tensor, offsets: Tensor) -> Tensor:
    """Return at each pixel what was ``offsets`` [B, 2, H, W] (columns, rows) away in ``images``, bilinearly; edges mirror."""
    height, width = images.shape[-2:]
    columns = torch.arange(width, device=images.device) + offsets[:, 0]
    rows = torch.arange(height, device=images.device)[:, None] + offsets[:, 1]
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


@corruption("digital", small=(0.95, 0.9, 0.85, 0.75, 0.65), large=(0.6, 0.5, 0.4, 0.3, 0.25))
def pixelate(images: Tensor, share: float, draws: ImageDraws) -> Tensor:
    """Shrink to a share of the size, each pixel a mean, and enlarge again by repetition."""
    height, width = images.shape[-2:]
    small = box_resize(images, int(height * share), int(width * share))
    return box_resize(small, height, width)


def box_resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resize [B, C, H, W] as Pillow's BOX filter does: a pixel is the mean of those whose centres it covers."""
    down = _box_weights(images.shape[-2], height).to(images)
    across = _box_weights(images.shape[-1], width).to(images)
    return down @ images @ across.mT


def _box_weights(old: int, new: int) -> Tensor:
    """Return the matrix [new, old] that resizes a row."""
    scale = old / new
    centers = (torch.arange(new, dtype=torch.float64) + 0.5) * scale
    offsets = (torch.arange(old, dtype=torch.float64) + 0.5 - centers[:, None]) / max(scale, 1.0)
    covered = ((offsets > -0.5) & (offsets <= 0.5)).double()
    return covered / covered.sum(dim=1, keepdim=True)


@corruption("digital", small=(80, 65, 58, 50, 40), large=(25, 18, 15, 10, 7))
def jpeg_compression(images: Tensor, quality: int, draws: ImageDraws) -> Tensor:
    """Compress and decompress as JPEG of a quality, with 4:2:0 chroma."""
    result: Tensor = jpeg_codec_differentiable(images, torch.tensor([float(quality)], device=images.device))
    return result
