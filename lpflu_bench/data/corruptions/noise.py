"""Noise."""

import torch
from torch import Tensor

from lpflu_bench.data.corruptions.draws import ImageDraws
from lpflu_bench.data.corruptions.registry import corruption


@corruption("noise", small=(0.04, 0.06, 0.08, 0.09, 0.10), large=(0.08, 0.12, 0.18, 0.26, 0.38))
def gaussian_noise(images: Tensor, std: float, draws: ImageDraws) -> Tensor:
    """Add a normal deviate to each value."""
    return images + std * draws.normal(*images.shape[1:])


@corruption("noise", small=(500, 250, 100, 75, 50), large=(60, 25, 12, 5, 3))
def shot_noise(images: Tensor, photons: float, draws: ImageDraws) -> Tensor:
    """Count photons: Poisson with the mean ``photons`` for white."""
    return draws.poisson(images * photons) / photons


@corruption("noise", small=(0.01, 0.02, 0.03, 0.05, 0.07), large=(0.03, 0.06, 0.09, 0.17, 0.27))
def impulse_noise(images: Tensor, share: float, draws: ImageDraws) -> Tensor:
    """Set a share of the values to 0 or 1 (salt and pepper by channel)."""
    draw = draws.uniform(*images.shape[1:])
    return torch.where(draw < share, (draw < share / 2).to(images.dtype), images)
