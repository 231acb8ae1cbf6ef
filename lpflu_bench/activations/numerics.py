"""Pieces that formulas are made of.

For formulas: the argument is guarded, never the result, since ``torch.where`` does not stop a NaN gradient of the branch
not taken. Exponentials see :func:`negative_part` and not ``x.clamp(max=0)``, whose gradient at exactly 0 depends on the
PyTorch version. A product of x with a gate that vanishes at minus infinity is :func:`gated`, so that ``f(-inf)`` is
the limit and not ``inf * 0``.

In an exported graph of float32 numbers these pieces take fewer operations (:func:`shortly`).

For kernels (the second half): fewer or vectorised operations, in float32 and to float32's precision only. On a CPU expm1,
log1p, tanh and erfc cost several times what exp and a polynomial do.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_short = False

FAR = 2.0**63
"""Beyond this the gate of every function here is 0 or 1 to the last digit, and its square is still finite in float32."""


def negative_part(x: Tensor) -> Tensor:
    """min(x, 0), with gradient 1 at 0."""
    return torch.where(x > 0, 0.0, x)


def positive_part(x: Tensor) -> Tensor:
    """max(x, 0), with gradient 0 at 0."""
    return torch.where(x <= 0, 0.0, x)


def finite_below(x: Tensor) -> Tensor:
    """max(x, -2**63); not by ``clamp``, whose gradient at NaN is 0."""
    return torch.where(x < -FAR, -FAR, x)


def shortly(formula: Callable[..., Tensor], x: Tensor, *parameters: object) -> Tensor:
    """Compute a formula from the short forms of the pieces below: to a float32 error of 1e-6 (1 + |x|), NaN at infinities."""
    global _short
    _short = True
    try:
        return formula(x, *parameters)
    finally:
        _short = False


def gated(x: Tensor, gate: Callable[[Tensor], Tensor]) -> Tensor:
    """X times a gate of x that is 0 at minus infinity, with the limits of value and derivative at both infinities."""
    if _short:
        return x * gate(x)
    near = torch.where(x > FAR, FAR, finite_below(x))
    opening = gate(near)
    return near * opening + torch.where(x > FAR, x - near, 0.0) * opening.detach()


def magnitude(x: Tensor) -> Tensor:
    """|x|, with derivative 1 at 0: sign(0) = 0 would make a second derivative there 0."""
    return torch.where(x < 0, -x, x)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + exp(x)); the two terms are differentiated on the same side at 0."""
    if _short:
        return F.softplus(x)
    return torch.where(x < 0, 0.0, x) + torch.log1p(torch.exp(-magnitude(x)))


def exp_minus_1(t: Tensor) -> Tensor:
    """exp(t) - 1, to the last digit near 0."""
    return torch.exp(t) - 1 if _short else torch.expm1(t)


def upper_tail(z: Tensor) -> Tensor:
    """The probability of a standard normal variable above z."""
    if _short:
        return 0.5 - 0.5 * torch.erf(z * math.sqrt(0.5))
    return torch.erfc(z * math.sqrt(0.5)) / 2


# For kernels. Comparison and selection let NaN through and are fewer instructions than ``clamp``, which looks for NaN.


def at_least(x: Tensor, low: float) -> Tensor:
    """max(x, low)."""
    return torch.where(x < low, low, x)


def at_most(x: Tensor, high: float) -> Tensor:
    """min(x, high)."""
    return torch.where(x > high, high, x)


def between(x: Tensor, low: float, high: float) -> Tensor:
    """X within [low, high]."""
    return at_least(at_most(x, high), low)


def negative(x: Tensor) -> Tensor:
    """X within [-2**63, 0]."""
    return torch.where(x > 0, 0.0, at_least(x, -FAR))


def expm1(t: Tensor) -> Tensor:
    """exp(t) - 1 for t <= 0: near 0 by its series, whose first term left out is 4e-8 of the value."""
    near = t > -0.4
    p = torch.where(near, t, 0.0)
    series = 1 + p * (1 / 2 + p * (1 / 6 + p * (1 / 24 + p * (1 / 120 + p * (1 / 720 + p * (1 / 5040))))))
    return torch.where(near, p * series, torch.exp(t) - 1)


def log1p_of_ratio(z: Tensor) -> Tensor:
    """log(1 + u) for u in [0, 1], given z = u / (2 + u): 2 atanh(z) by its series, to 2e-8."""
    w = z * z
    series = 1 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9 + w * (1 / 11 + w * (1 / 13))))))
    return 2 * z * series


def normal(z: Tensor) -> tuple[Tensor, Tensor]:
    """(1 + erf(z)) / 2 and exp(-z^2), of which the first is made (Abramowitz and Stegun 7.1.26, to 8e-8)."""
    size = z.abs().clamp(max=8.0)  # exp(-64) is 0 in all that follows; further out are denormals, which are slow
    bell = torch.exp(-size * size)
    t = 1 / (1 + 0.3275911 * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = 0.5 * series * bell
    return torch.where(z < 0, tail, 1 - tail), bell


def near_square(x: Tensor, z: Tensor) -> Tensor:
    """x^2, or 0 where z is so far out that what it is multiplied with has vanished."""
    return torch.where(z.abs() < 80, x * x, 0.0)
