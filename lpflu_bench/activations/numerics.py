"""Pieces that formulas are made of.

For formulas: the argument is guarded, never the result, since ``torch.where`` does not stop a NaN gradient of the branch
not taken. Exponentials see :func:`negative_part` and not ``x.clamp(max=0)``, whose gradient at exactly 0 depends on the
PyTorch version. A product of x with a gate that vanishes at minus infinity is :func:`gated`, so that ``f(-inf)`` is
the limit and not ``inf * 0``.

In an exported graph of float32 numbers these pieces take fewer operations, and none of those that ONNX Runtime is slow at
(:func:`shortly`): a selection (Where) takes it 40 times what Relu or Clip do.

For kernels (the second half): fewer or vectorised operations, in float32 and to float32's precision only. On a CPU expm1,
log1p, tanh and erfc cost several times what exp and a polynomial do.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_short = False

FAR = 2.0**63
"""Beyond this the gate of every function here is 0 or 1 to the last digit, and its square is still finite in float32."""


def negative_part(x: Tensor) -> Tensor:
    """min(x, 0), with gradient 1 at 0."""
    if _short:
        return x.clamp(max=0.0)
    return torch.where(x > 0, 0.0, x)


def positive_part(x: Tensor) -> Tensor:
    """max(x, 0), with gradient 0 at 0."""
    if _short:
        return F.relu(x)
    return torch.where(x <= 0, 0.0, x)


def finite_below(x: Tensor) -> Tensor:
    """max(x, -2**63); not by ``clamp``, whose gradient at NaN is 0."""
    return x if _short else torch.where(x < -FAR, -FAR, x)


def rectified(x: Tensor, below: Tensor) -> Tensor:
    """X right of 0, else ``below``, which must be 0 right of 0."""
    return F.relu(x) + below if _short else torch.where(x > 0, x, below)


def shortly(formula: Callable[..., Tensor], x: Tensor, *parameters: object) -> Tensor:
    """Compute a formula from the short forms of the pieces below: to a float32 error of 1e-6 (1 + |x|), NaN at infinities."""
    global _short
    _short = True
    try:
        return formula(x, *parameters)
    finally:
        _short = False


def gated(x: Tensor, gate: Callable[[Tensor], Tensor]) -> Tensor:
    """X times a gate of x, with the limits of value and derivative at both infinities; there the gate may vanish."""
    if _short:
        return x * gate(x)
    near = torch.where(x > FAR, FAR, finite_below(x))
    opening = gate(near)
    beyond = torch.where(opening.abs() < 1e-12, 0.0, x - near)
    return near * opening + beyond * opening.detach()


def magnitude(x: Tensor) -> Tensor:
    """|x|, with derivative 1 at 0: sign(0) = 0 would make a second derivative there 0."""
    return x.abs() if _short else torch.where(x < 0, -x, x)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + exp(x)); the two terms are differentiated on the same side at 0."""
    if _short:
        return F.relu(x) + torch.log(1 + torch.exp(-x.abs()))
    return torch.where(x < 0, 0.0, x) + torch.log1p(torch.exp(-magnitude(x)))


def exp_minus_1(t: Tensor) -> Tensor:
    """exp(t) - 1, to the last digit near 0."""
    return torch.exp(t) - 1 if _short else torch.expm1(t)


def upper_tail(z: Tensor) -> Tensor:
    """The probability of a standard normal variable above z."""
    if _short:
        return 0.5 - 0.5 * torch.erf(z * math.sqrt(0.5))
    return torch.erfc(z * math.sqrt(0.5)) / 2


# For kernels, mostly. Comparison and selection let NaN through and are fewer instructions than ``clamp``, which looks for NaN.


def at_least(x: Tensor, low: float) -> Tensor:
    """max(x, low)."""
    if _short:
        return x.clamp(min=low)
    return torch.where(x < low, low, x)


def at_most(x: Tensor, high: float) -> Tensor:
    """min(x, high)."""
    if _short:
        return x.clamp(max=high)
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


def log1p(u: Tensor) -> Tensor:
    """log(1 + u) for u in [0, 1], by a polynomial (interpolated at Chebyshev's points) to 5e-9 of the value."""
    return u * polynomial(u, _LOG1P)


def polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """The sum of coefficients[i] x^i, in pairs (Estrin's scheme), so that few steps wait for others.

    A division takes as long as twenty terms.
    """
    values: list[Any] = list(coefficients)
    while len(values) > 1:
        last = values[len(values) // 2 * 2 :]
        values = [low + x * high for low, high in zip(values[::2], values[1::2], strict=False)] + last
        x = x * x
    return values[0]  # type: ignore[no-any-return]


def erf(s: Tensor) -> Tensor:
    """The error function for s >= 0, by a rational function to 3e-8 of the value."""
    s = at_most(s, 4.0)
    return s * polynomial(s * s, _ERF[0]) / polynomial(s * s, _ERF[1])


def tanh(t: Tensor) -> Tensor:
    """The hyperbolic tangent, by a rational function to 3e-8 of the value."""
    t = between(t, -9.0, 9.0)
    return t * polynomial(t * t, _TANH[0]) / polynomial(t * t, _TANH[1])


# Least squares of the relative error, on [0, 4] and [0, 9].
_ERF = (
    (1.12837914, 0.193531913, 0.05309997, 0.00388277313, 0.000284551929, 1.9868662e-06),
    (1.0, 0.504845751, 0.115344532, 0.015206105, 0.00118543086, 3.74203187e-05),
)
_TANH = (
    (0.99999998, 0.133810401, 0.00349560463, 2.06093306e-05, 1.33549635e-08),
    (1.0, 0.467143558, 0.0258770467, 0.000328566078, 7.77669074e-07),
)
_ERFC = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_LOG1P = (
    0.999999995, -0.499998926, 0.333297105, -0.249516163, 0.196632743, -0.152696671, 0.105436238, -0.0563736132,
    0.0195425274, -0.00317605705,
)  # fmt: skip


def erfc(s: Tensor) -> tuple[Tensor, Tensor]:
    """1 - erf(s) for s >= 0, and exp(-s^2), of which it is made (Abramowitz and Stegun 7.1.26, to 1.5e-7)."""
    bell = torch.exp(-s * s)
    t = 1 / (1 + 0.3275911 * s)
    return t * polynomial(t, _ERFC) * bell, bell


def normal(z: Tensor) -> tuple[Tensor, Tensor]:
    """(1 + erf(z)) / 2 and exp(-z^2), of which the first is made."""
    # exp(-64) is 0 in all that follows; further out are denormals, which are slow
    twice, bell = erfc(z.abs().clamp(max=8.0))
    tail = 0.5 * twice
    return torch.where(z < 0, tail, 1 - tail), bell


def near_square(x: Tensor, z: Tensor) -> Tensor:
    """x^2, or 0 where z is so far out that what it is multiplied with has vanished."""
    return torch.where(z.abs() < 80, x * x, 0.0)
