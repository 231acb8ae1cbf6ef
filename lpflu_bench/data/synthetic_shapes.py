"""The embedded classification set: coloured shapes, drawn in memory from a fixed seed."""

import math

import torch
from torch import Tensor

from lpflu_bench.seeding import derive_seed

SHAPES = ("disc", "ring", "square", "frame", "triangle", "cross", "star", "crescent", "ellipse", "bars")
# Hues of the 100-class set, whose classes are (colour, shape) pairs.
COLORS = ("red", "orange", "yellow", "lime", "green", "cyan", "azure", "blue", "violet", "magenta")
_SIDE = 32
_TRAIN, _TEST = 4000, 1000


def draw_shapes(
    num_classes: int, train: int = _TRAIN, test: int = _TEST
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], list[str]]:
    """Draw the set: the same images every time, in about a second.

    One shape an image at a random place, size and tilt, in a random colour on a background with a random gradient,
    under noise of a random strength. With 10 classes the colour says nothing; with more a class is a shape in one of
    ``num_classes / 10`` hues.

    Args:
        num_classes: 10 (shapes) or a multiple of it (shape and colour).
        train: number of training images, every class equally often.
        test: number of test images.

    Returns:
        Training images uint8 [N, 3, 32, 32] and classes long [N]; the same for test; the class names.
    """
    hues, rest = divmod(num_classes, len(SHAPES))
    if rest or not hues:
        raise ValueError(f"num_classes must be a multiple of {len(SHAPES)}, not {num_classes}")
    colors = COLORS if hues == len(COLORS) else [f"hue {number}" for number in range(1, hues + 1)]
    names = list(SHAPES) if hues == 1 else [f"{color} {shape}" for shape in SHAPES for color in colors]
    return _draw(num_classes, train, "train"), _draw(num_classes, test, "test"), names


def _draw(num_classes: int, count: int, split: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(derive_seed(0, "shapes", num_classes, split))

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    targets = torch.arange(count) % num_classes
    targets = targets[torch.randperm(count, generator=generator)]
    hues = num_classes // len(SHAPES)
    shape = targets // hues
    hue = uniform(0, 1)
    if hues > 1:
        hue = ((targets % hues) + uniform(-0.3, 0.3)) / hues
    inside = _inside(shape, uniform(6.5, 11.5), uniform(-0.5, 0.5), uniform(12, 20), uniform(12, 20))
    foreground = _hsv(hue, uniform(0.6, 1), uniform(0.55, 1))
    # The background is duller than the shape but may be as bright.
    direction = uniform(0, 2 * math.pi)
    line = torch.linspace(-1, 1, _SIDE)
    slope = torch.cos(direction).view(-1, 1, 1) * line + torch.sin(direction).view(-1, 1, 1) * line.view(-1, 1)
    shade = 1 + uniform(0, 0.5).view(-1, 1, 1) * slope
    background = _hsv(uniform(0, 1), uniform(0, 0.4), uniform(0.1, 0.8)) * shade.unsqueeze(1)
    images = torch.lerp(background, foreground, inside.unsqueeze(1))
    noise = torch.randn(count, 3, _SIDE, _SIDE, generator=generator) * uniform(0.02, 0.14).view(-1, 1, 1, 1)
    return (images + noise).clamp_(0, 1).mul_(255).round_().byte(), targets


def _hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return colours [N, 3, 1, 1]."""
    sixths = (hue.view(-1, 1) * 6 + torch.tensor([5.0, 3.0, 1.0])) % 6
    share = torch.minimum(sixths, 4 - sixths).clamp(0, 1)
    return (value.view(-1, 1) * (1 - saturation.view(-1, 1) * share)).view(-1, 3, 1, 1)


def _inside(shape: Tensor, radius: Tensor, angle: Tensor, centre_x: Tensor, centre_y: Tensor) -> Tensor:
    """Return how much of each pixel the shape covers, [N, 32, 32], from signed distances in pixels."""
    covered = torch.empty(len(shape), _SIDE, _SIDE)
    line = torch.arange(_SIDE) + 0.5
    for number, name in enumerate(SHAPES):
        which = torch.nonzero(shape == number).flatten()
        r, a = (values[which].view(-1, 1, 1) for values in (radius, angle))
        dx = line.view(1, 1, -1) - centre_x[which].view(-1, 1, 1)
        dy = line.view(1, -1, 1) - centre_y[which].view(-1, 1, 1)
        x, y = a.cos() * dx + a.sin() * dy, a.cos() * dy - a.sin() * dx
        covered[which] = (0.5 - _distance(name, x, y, r)).clamp(0, 1)
    return covered


def _distance(name: str, x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Return the distance from the shape's edge (negative inside) at turned coordinates around its centre."""
    rho = torch.hypot(x, y)
    box = torch.maximum(x.abs(), y.abs())
    if name == "disc":
        return rho - r
    if name == "ring":
        return (rho - 0.8 * r).abs() - 0.2 * r
    if name == "square":
        return box - 0.85 * r
    if name == "frame":
        return (box - 0.7 * r).abs() - 0.2 * r
    if name == "triangle":
        return torch.maximum(x.abs() * math.sqrt(3) / 2 + y / 2, -y) - 0.55 * r
    if name == "cross":
        short, long = torch.minimum(x.abs(), y.abs()), box
        return torch.maximum(short - 0.3 * r, long - r)
    if name == "star":
        return rho - r * (0.65 + 0.35 * torch.cos(5 * torch.atan2(y, x)))
    if name == "crescent":
        return torch.maximum(rho - r, 0.8 * r - torch.hypot(x - 0.5 * r, y))
    if name == "ellipse":
        return torch.hypot(x, y / 0.45) * 0.45 - 0.45 * r
    return torch.maximum((x.abs() - 0.6 * r).abs() - 0.25 * r, y.abs() - r)  # bars
