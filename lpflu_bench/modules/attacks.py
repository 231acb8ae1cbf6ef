"""Adversarial attacks within an L-infinity ball: FGSM and PGD."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lpflu_bench.data.corruptions.draws import ImageDraws
from lpflu_bench.errors import UserError

_KINDS = ("fgsm", "pgd")


@dataclass(frozen=True)
class Attack:
    """Changes each pixel by at most a radius so that the loss rises.

    ``fgsm`` is one step along the gradient's sign (Goodfellow et al., "Explaining and Harnessing Adversarial Examples",
    ICLR 2015). ``pgd`` starts at a random point of the ball and takes steps along the sign, each projected back (Madry et
    al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018). Both leave no value outside 0..1.

    Args:
        kind: ``fgsm`` or ``pgd``.
        radius: of the ball, in 255ths: 8 means 8/255 of the range of a pixel.
        steps: of ``pgd``.
        step_size: of ``pgd``, in 255ths; 2.5 radius / steps if null, as Madry et al. have it.
        seed: of the random starts; they depend on it and the image's index alone.

    Raises:
        UserError: a setting is out of its range.
    """

    kind: Literal["fgsm", "pgd"] = "pgd"
    radius: float = 8.0
    steps: int = 10
    step_size: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UserError(f"there is no attack '{self.kind}'; known are {', '.join(_KINDS)}")
        if not 0 <= self.radius <= 255:
            raise UserError(f"attack {self.kind}: radius {self.radius} is out of range; it is in 255ths, 0 to 255")
        if self.steps < 1:
            raise UserError(f"attack {self.kind}: steps must be at least 1, not {self.steps}")
        if self.step_size is not None and self.step_size <= 0:
            raise UserError(f"attack {self.kind}: step_size must be above 0, not {self.step_size}")

    def __call__(self, images: Tensor, indices: Sequence[int], loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Return attacked images.

        Args:
            images: float [B, C, H, W] in 0..1.
            indices: the index of each in its data set.
            loss: the loss of a batch of such images, a scalar whose gradient for one image does not depend on the others.
        """
        radius = self.radius / 255
        # Within inference mode, as a test runs, nothing has a gradient.
        with torch.inference_mode(False), torch.enable_grad():
            clean = images.clone()
            if self.kind == "fgsm":
                return (clean + radius * _ascent(clean, loss)).clamp(0.0, 1.0)
            step = radius * 2.5 / self.steps if self.step_size is None else self.step_size / 255
            lower, upper = (clean - radius).clamp_min(0.0), (clean + radius).clamp_max(1.0)
            draws = ImageDraws(self.seed, "pgd", indices, images.device)
            attacked = clean + draws.uniform(*images.shape[1:], low=-radius, high=radius)
            attacked = attacked.clamp(lower, upper)
            for _ in range(self.steps):
                attacked = (attacked + step * _ascent(attacked, loss)).clamp(lower, upper)
            return attacked


def _ascent(images: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the sign of the loss's gradient."""
    leaf = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    return gradient.sign()
