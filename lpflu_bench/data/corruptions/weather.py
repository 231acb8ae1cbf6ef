"""Weather."""

from functools import partial

import torch
from kornia.color import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from kornia.contrib import diamond_square
from torch import Tensor

from lpflu_bench.data.corruptions.blur import smear, zoom
from lpflu_bench.data.corruptions.draws import ImageDraws
from lpflu_bench.data.corruptions.registry import corruption


@corruption(
    "weather",
    small=(
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    large=(
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
)
def snow(images: Tensor, level: tuple[float, float, float, float, int, float, float], draws: ImageDraws) -> Tensor:
    """Whiten the image and let flakes (thresholded noise, zoomed) fall through it."""
    mean, std, size, threshold, radius, sigma, kept = level
    flakes = zoom(draws.normal(1, *images.shape[-2:]) * std + mean, size)
    flakes = torch.where(flakes < threshold, 0.0, flakes).clamp(0.0, 1.0)
    flakes = smear(flakes, radius, sigma, draws.uniform(low=-135.0, high=-45.0))
    white = torch.maximum(images, rgb_to_grayscale(images) * 1.5 + 0.5)
    return kept * images + (1 - kept) * white + flakes + flakes.flip(-2, -1)


@corruption(
    "weather",
    small=((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    large=((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
)
def frost(images: Tensor, level: tuple[float, float], draws: ImageDraws) -> Tensor:
    """Lay ice over the image: pale blue ridges of a plasma (the paper has photographs of ice)."""
    image_weight, ice_weight = level
    ridges = (1 - (2 * plasma(images, 0.6, draws) - 1).abs()).square()
    tint = torch.tensor([0.85, 0.95, 1.0], device=images.device).view(1, 3, 1, 1)
    return image_weight * images + ice_weight * (0.2 + 0.8 * ridges) * tint


@corruption(
    "weather",
    small=((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    large=((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
)
def fog(images: Tensor, level: tuple[float, float], draws: ImageDraws) -> Tensor:
    """Add a plasma of some density whose detail decays, and scale back to the image's own largest value."""
    density, decay = level
    largest = images.amax(dim=(1, 2, 3), keepdim=True)
    # The paper's wibble is applied twice at each level: amplitudes fall by the square of its decay.
    return (images + density * plasma(images, decay**-2, draws)) * largest / (largest + density)


def plasma(images: Tensor, roughness: float, draws: ImageDraws) -> Tensor:
    """Return a fractal in 0..1 for each image, [B, 1, H, W]; ``roughness`` is the ratio of amplitudes by level."""

    def random(shape: torch.Size, **_: object) -> Tensor:
        return draws.uniform(*shape[1:])  # kornia asks for the batch as one

    size = (len(images), 1, *images.shape[-2:])
    make = partial(diamond_square, size, roughness=roughness, random_fn=random, normalize_range=(0.0, 1.0))
    return make(device=images.device, dtype=torch.float32)


@corruption("weather", small=(0.05, 0.1, 0.15, 0.2, 0.3), large=(0.1, 0.2, 0.3, 0.4, 0.5))
def brightness(images: Tensor, amount: float, draws: ImageDraws) -> Tensor:
    """Raise the value of HSV."""
    hue, saturation, value = rgb_to_hsv(images).unbind(1)
    return hsv_to_rgb(torch.stack([hue, saturation, (value + amount).clamp(0.0, 1.0)], dim=1))
