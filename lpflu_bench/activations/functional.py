"""Every formula that PyTorch has no function for, once, as plain tensor code.

This is what torch.compile, torch.export, ONNX, torch.func and double backward see. The signature is
``f(x, *parameters)``; a parameter is a number or a tensor that broadcasts against ``x``. The result has the dtype and
shape of ``x``; half precision computes in float32 inside, because several of these formulas fail silently in float16
(PFLU halves its output from |x| = 256).

How the formulas stay finite: the argument is guarded, never the result, since ``torch.where`` does not stop a NaN
gradient of the branch not taken. Exponentials see the negative part ``torch.where(x > 0, 0, x)`` and not
``x.clamp(max=0)``, whose gradient at exactly 0 depends on the PyTorch version. A product of x with a gate that vanishes
at minus infinity takes x from -2**63 on, so that ``f(-inf)`` is the limit and not ``inf * 0``.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Parameter = Tensor | float
_Formula = TypeVar("_Formula", bound=Callable[..., Tensor])

# Beyond this the gate of every function here is 0 or 1 to the last digit, and its square is still finite in float32.
_FAR = 2.0**63


def require_floating(name: str, x: Tensor) -> None:
    """Raise a one-line TypeError unless ``x`` is a real floating-point tensor."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        given = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name}: x must be a floating-point tensor, got {given}")


def widened(x: Tensor) -> Tensor:
    """Return ``x`` in the dtype its function is computed in: float32 for the half precisions, else its own."""
    return x.float() if x.dtype.itemsize < 4 else x


def _formula(function: _Formula) -> _Formula:
    """Check the input's type, compute in at least float32, return the input's dtype."""

    @functools.wraps(function)
    def in_input_dtype(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        require_floating(function.__name__, x)
        return function(widened(x), *args, **kwargs).to(x.dtype)

    return cast(_Formula, in_input_dtype)


def _negative_part(x: Tensor) -> Tensor:
    return torch.where(x > 0, 0.0, x)


def _finite_below(x: Tensor) -> Tensor:
    return x.clamp(min=-_FAR)


@_formula
def prelu(x: Tensor, a: Parameter) -> Tensor:
    """X > 0: x; else a x."""
    return torch.where(x > 0, x, a * _negative_part(x))


@_formula
def ptelu(x: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
    """X >= 0: x; else alpha tanh(beta x)."""
    return torch.where(x > 0, x, alpha * torch.tanh(beta * _negative_part(x)))


@_formula
def pelu(x: Tensor, a: Parameter, b: Parameter) -> Tensor:
    """X >= 0: (a/b) x; else a (exp(x/b) - 1)."""
    # The quotient multiplies max(x, 0), not x: its gradient must not see the negative branch's infinity.
    return torch.where(x > 0, a / b * torch.where(x > 0, x, 0.0), a * torch.expm1(_negative_part(x) / b))


@_formula
def mpelu(x: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
    """X > 0: x; else alpha (exp(beta x) - 1)."""
    return torch.where(x > 0, x, alpha * torch.expm1(beta * _negative_part(x)))


@_formula
def felu(x: Tensor, alpha: Parameter) -> Tensor:
    """X > 0: x; else alpha (2^(x/ln 2) - 1), which is alpha (exp(x) - 1)."""
    return torch.where(x > 0, x, alpha * torch.expm1(_negative_part(x)))


@_formula
def eelu(x: Tensor, k: Parameter, alpha: Parameter, beta: Parameter) -> Tensor:
    """X > 0: k x; else alpha (exp(beta x) - 1)."""
    return torch.where(x > 0, k * torch.where(x > 0, x, 0.0), alpha * torch.expm1(beta * _negative_part(x)))


@_formula
def swish(x: Tensor, beta: Parameter) -> Tensor:
    """X sigmoid(beta x)."""
    return _finite_below(x) * torch.sigmoid(beta * x)


@_formula
def reu(x: Tensor) -> Tensor:
    """X > 0: x; else x exp(x)."""
    negative = _finite_below(_negative_part(x))
    return torch.where(x > 0, x, negative * torch.exp(negative))


@_formula
def logish(x: Tensor, alpha: Parameter = 1.0, beta: Parameter = 1.0) -> Tensor:
    """Alpha x ln(1 + sigmoid(beta x))."""
    return alpha * _finite_below(x) * torch.log1p(torch.sigmoid(beta * x))


@_formula
def smish(x: Tensor, alpha: Parameter = 1.0, beta: Parameter = 1.0) -> Tensor:
    """Alpha x tanh(ln(1 + s)), s = sigmoid(beta x), in its rational form alpha x s (2 + s) / (2 + 2 s + s^2)."""
    s = torch.sigmoid(beta * x)
    n = s * (2 + s)
    return alpha * _finite_below(x) * (n / (2 + n))


@_formula
def gish(x: Tensor) -> Tensor:
    """X ln(2 - exp(-exp(x)))."""
    # exp(-exp(10)) is below the smallest float64, so nothing is lost; without it the gradient is NaN from x = 88.7 on.
    inner = torch.exp(x.clamp(max=10.0))
    return _finite_below(x) * torch.log1p(-torch.expm1(-inner))


def _pflu(x: Tensor) -> Tensor:
    # 1 + x/r cancels on the negative side; q/2 with q = 1/(r (r + |x|)) is the same number without cancellation.
    # |x| is written with `where` for its derivative at 0: sign(0) = 0 would make the second derivative there 0, not 1.
    near = x.clamp(-_FAR, _FAR)
    r = torch.sqrt(1 + near * near)
    half_q = 0.5 / (r * (r + torch.where(near < 0, -near, near)))
    return torch.where(x > _FAR, x, near * torch.where(near < 0, half_q, 1 - half_q))


@_formula
def pflu(x: Tensor) -> Tensor:
    """(x/2) (1 + x / sqrt(1 + x^2))."""
    return _pflu(x)


@_formula
def fpflu(x: Tensor) -> Tensor:
    """X > 0: x; else x / (1 + x^2)."""
    negative = _finite_below(_negative_part(x))
    return torch.where(x > 0, x, negative / (1 + negative * negative))


@_formula
def lpflu(x: Tensor, a: Parameter) -> Tensor:
    """(1 - a) PFLU(x) + a x."""
    return (1 - a) * _pflu(x) + a * x


@_formula
def leaky(x: Tensor, smooth: Tensor, a: Parameter) -> Tensor:
    """(1 - a) S(x) + a x, given ``smooth`` = S(x)."""
    return (1 - a) * smooth + a * x


@_formula
def pau(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """P(x) / Q(x), P = a0 + ... + a5 x^5, Q = 1 + |b1| |x| + ... + |b4| x^4.

    ``numerator`` [6] and ``denominator`` [4] hold the coefficients.
    """
    a0, a1, a2, a3, a4, a5 = numerator.unbind()
    b1, b2, b3, b4 = denominator.abs().unbind()
    outside = x.abs() > 1
    # Powers of x overflow (float32: from 5e7 on), so outside [-1, 1] both are divided by x^4 and run in u = 1/x.
    t = torch.where(outside, 0.0, x)
    m = t.abs()
    inner = (((((a5 * t + a4) * t + a3) * t + a2) * t + a1) * t + a0) / ((((b4 * m + b3) * m + b2) * m + b1) * m + 1)
    far = torch.where(outside, x, 1.0)
    u = 1 / far
    v = u.abs()
    outer = (a5 * far + ((((a0 * u + a1) * u + a2) * u + a3) * u + a4)) / ((((v + b1) * v + b2) * v + b3) * v + b4)
    return torch.where(outside, outer, inner)


@_formula
def sau(x: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
    """((1 - alpha) / beta) phi(beta x) + x (alpha + (1 - alpha) Phi(beta x)), phi and Phi the standard normal's."""
    # beta x first: beta^2 x^2 with the default 20000 is the first to overflow.
    z = beta * x
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return (1 - alpha) * (density / beta + _finite_below(x) * _upper_tail(-z)) + alpha * x


@_formula
def smu(x: Tensor, alpha: Parameter, mu: Parameter) -> Tensor:
    """((1 + alpha) x + (1 - alpha) x erf(mu (1 - alpha) x)) / 2, in the form that keeps its tail alpha x."""
    gate = torch.erfc(-mu * (1 - alpha) * x) / 2
    return (1 - alpha) * (_finite_below(x) * gate) + alpha * x


@_formula
def smu1(x: Tensor, alpha: Parameter, mu: Parameter) -> Tensor:
    """((1 + alpha) x + sqrt((1 - alpha)^2 x^2 + mu^2)) / 2, as Leaky ReLU plus what it lies above it."""
    # sqrt(c^2 x^2 + mu^2) - c |x| is mu^2 over their sum, without cancellation. The clamp keeps the square finite, as
    # torch.hypot would, which ONNX does not have; mu must be above 1e-19 in float32 for its square not to vanish.
    magnitude = (1 - alpha) * torch.where(x < 0, -x, x).clamp(max=_FAR)
    root = torch.sqrt(magnitude * magnitude + mu * mu)
    return torch.where(x < 0, alpha * x, x) + mu * (mu / (root + magnitude)) / 2


def _upper_tail(z: Tensor) -> Tensor:
    return torch.erfc(z * math.sqrt(0.5)) / 2
