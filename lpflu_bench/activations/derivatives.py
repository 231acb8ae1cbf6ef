"""Forms of some formulas that only the compiled kernels use: the same function, with fewer or vectorised operations.

A formula of :mod:`~lpflu_bench.activations.functional` that is not here is compiled as it stands, and its derivative is
taken from it by ``torch.func.vjp``. These are here because they were measured to be faster; the tests hold them to the
plain formulas. Everything is in float32.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lpflu_bench.activations import functional


def _pflu_derivative(x: Tensor) -> Tensor:
    # With q = 1/(r (r + |x|)), r = sqrt(1 + x^2): q (-1 + 3q - q^2)/2 left of 0, 1 minus that right of it.
    near = x.clamp(-(2.0**31), 2.0**31)
    r = torch.sqrt(1 + near * near)
    q = 1 / (r * (r + near.abs()))
    left = 0.5 * q * (q * (3 - q) - 1)
    return torch.where(x < 0, left, 1 - left)


def _pflu(x: Tensor) -> tuple[Tensor, ...]:
    return (_pflu_derivative(x),)


def _lpflu(x: Tensor, a: Tensor) -> tuple[Tensor, ...]:
    return a + (1 - a) * _pflu_derivative(x), x - functional.pflu(x)


def _smu(x: Tensor, alpha: Tensor, mu: Tensor) -> Tensor:
    # erf is vectorised, erfc is not. It loses digits of the gate where that is below 1e-6; alpha x is apart.
    gate = 0.5 + 0.5 * torch.erf(mu * (1 - alpha) * x)
    return (1 - alpha) * (x.clamp(min=-(2.0**63)) * gate) + alpha * x


def _sau(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    z = beta * x
    density = torch.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
    gate = 0.5 + 0.5 * torch.erf(z * math.sqrt(0.5))
    return (1 - alpha) * (density / beta + x.clamp(min=-(2.0**63)) * gate) + alpha * x


# A formula of functional.py -> another way to compute it, the same arguments.
KERNEL_FORMULAS: dict[Callable[..., Tensor], Callable[..., Tensor]] = {functional.smu: _smu, functional.sau: _sau}

# A formula of functional.py -> its derivatives (df/dx, df/dparameter, ...), for parameters that are scalars.
KERNEL_DERIVATIVES: dict[Callable[..., Tensor], Callable[..., tuple[Tensor, ...]]] = {
    functional.pflu: _pflu,
    functional.lpflu: _lpflu,
}

# Formulas whose parameters are vectors of coefficients, not values that broadcast against x, and the vectors' shapes.
COEFFICIENT_SHAPES: dict[Callable[..., Tensor], list[tuple[int, ...]]] = {functional.pau: [(6,), (4,)]}
