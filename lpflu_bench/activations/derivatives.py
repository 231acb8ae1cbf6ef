"""Forms of some formulas that only the compiled kernels use: the same function, with fewer or vectorised operations.

A formula of :mod:`~lpflu_bench.activations.functional` that is not here is compiled as it stands, and its derivative is
taken from it by ``torch.func.vjp``. These are here because they were measured to be faster on a CPU, where expm1, log1p,
tanh and erfc cost several times what exp and a polynomial do; the tests hold them to the plain formulas. Everything is in
float32, and to float32's precision only.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations import functional
from lpflu_bench.activations.leaky_formulas import LEAKY_FORMULAS

_FAR = 2.0**63  # a gate that vanishes takes x from here on: f(-inf) is the limit, not inf * 0
_ROOT_PI = math.sqrt(math.pi)


# Comparison and selection let NaN through and are fewer instructions than ``clamp``, which looks for NaN itself.


def _at_least(x: Tensor, low: float) -> Tensor:
    return torch.where(x < low, low, x)


def _at_most(x: Tensor, high: float) -> Tensor:
    return torch.where(x > high, high, x)


def _between(x: Tensor, low: float, high: float) -> Tensor:
    return _at_least(_at_most(x, high), low)


def _expm1(t: Tensor) -> Tensor:
    """exp(t) - 1 for t <= 0: near 0 by its series, whose first term left out is 4e-8 of the value."""
    near = t > -0.4
    p = torch.where(near, t, 0.0)
    series = 1 + p * (1 / 2 + p * (1 / 6 + p * (1 / 24 + p * (1 / 120 + p * (1 / 720 + p * (1 / 5040))))))
    return torch.where(near, p * series, torch.exp(t) - 1)


def _log1p_of_ratio(z: Tensor) -> Tensor:
    """log(1 + u) for u in [0, 1], given z = u / (2 + u): 2 atanh(z) by its series, to 2e-8."""
    w = z * z
    series = 1 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9 + w * (1 / 11 + w * (1 / 13))))))
    return 2 * z * series


def _normal(z: Tensor) -> tuple[Tensor, Tensor]:
    """(1 + erf(z)) / 2 and exp(-z^2), of which the first is made (Abramowitz and Stegun 7.1.26, to 8e-8)."""
    magnitude = z.abs().clamp(
        max=8.0
    )  # exp(-64) is 0 in all that follows; further out are denormal numbers, which are slow
    bell = torch.exp(-magnitude * magnitude)
    t = 1 / (1 + 0.3275911 * magnitude)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = 0.5 * series * bell
    return torch.where(z < 0, tail, 1 - tail), bell


def _negative(x: Tensor) -> Tensor:
    return torch.where(x > 0, 0.0, _at_least(x, -_FAR))


def _ptelu(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    e = _expm1(2 * beta * _negative(x))
    return torch.where(x > 0, x, alpha * (e / (e + 2)))


def _ptelu_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    negative = _negative(x)
    e = _expm1(2 * beta * negative)
    inverse = 1 / (e + 2)
    slope = alpha * (4 * (e + 1) * inverse * inverse)  # alpha (1 - tanh^2)
    return torch.where(x > 0, 1.0, beta * slope), e * inverse, negative * slope


def _pelu(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(x > 0, a / b * torch.where(x > 0, x, 0.0), a * _expm1(_negative(x) / b))


def _pelu_derivatives(x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    e = _expm1(_negative(x) / b)
    slope = a / b * (e + 1)
    return slope, torch.where(x > 0, x / b, e), _at_least(x, -_FAR) * slope / -b


def _mpelu(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return torch.where(x > 0, x, alpha * _expm1(beta * _negative(x)))


def _mpelu_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    negative = _negative(x)
    e = _expm1(beta * negative)
    slope = alpha * (e + 1)
    return torch.where(x > 0, 1.0, beta * slope), e, negative * slope


def _felu(x: Tensor, alpha: Tensor) -> Tensor:
    return torch.where(x > 0, x, alpha * _expm1(_negative(x)))


def _felu_derivatives(x: Tensor, alpha: Tensor) -> tuple[Tensor, ...]:
    e = _expm1(_negative(x))
    return torch.where(x > 0, 1.0, alpha * (e + 1)), e


def _swish(x: Tensor, beta: Tensor) -> Tensor:
    return _at_least(x, -_FAR) * torch.sigmoid(beta * x)


def _swish_derivatives(x: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    z = _between(beta * x, -80.0, 80.0)
    e = torch.exp(-z)
    gate = 1 / (1 + e)
    slope = e * gate * gate  # not gate (1 - gate), which cancels right of 0
    return gate + z * slope, _near_square(x, z) * slope


# Mish, Logish and Smish have rational gates in e = exp(x) or exp(-beta x): one exponential and one division.


def _mish(x: Tensor) -> Tensor:
    e = torch.exp(_at_most(x, 20.0))  # the gate is 1 to the last digit from 9 on
    n = e * (e + 2)
    return _at_least(x, -_FAR) * (n / (n + 2))


def _mish_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    near = _between(x, -100.0, 20.0)
    e = torch.exp(near)
    n = e * (e + 2)
    inverse = 1 / (n + 2)
    return (inverse * (n + near * 4 * e * (e + 1) * inverse),)


def _logish_gate(z: Tensor) -> tuple[Tensor, Tensor]:
    """log(1 + sigmoid(z)) and its derivative."""
    e = torch.exp(-_at_least(z, -28.0))  # e^3 is finite; the gate is below 1e-12 from there on
    inverse = torch.where(z < -28.0, 0.0, 1 / ((1 + e) * (2 + e) * (3 + 2 * e)))
    return _log1p_of_ratio((1 + e) * (2 + e) * inverse), e * (3 + 2 * e) * inverse


def _logish(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    z = beta * x
    e = torch.exp(-_at_least(z, -28.0))
    gate = _log1p_of_ratio(torch.where(z < -28.0, 0.0, 1 / (3 + 2 * e)))
    return alpha * _at_least(x, -_FAR) * gate


def _logish_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    z = _between(beta * x, -80.0, 80.0)
    gate, slope = _logish_gate(z)
    return alpha * (gate + z * slope), _at_least(x, -_FAR) * gate, alpha * _near_square(x, z) * slope


def _smish_gate(z: Tensor) -> tuple[Tensor, Tensor]:
    """The gate and its derivative in z."""
    e = torch.exp(-_at_least(z, -43.0))  # e^2 is finite; the gate is below 3e-19 from there on
    inverse = torch.where(z < -43.0, 0.0, 1 / (5 + e * (6 + 2 * e)))
    return (3 + 2 * e) * inverse, 4 * (e * inverse) * ((e + 1) * (e + 2) * inverse)


def _smish(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return alpha * _at_least(x, -_FAR) * _smish_gate(beta * x)[0]


def _smish_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    z = _between(beta * x, -80.0, 80.0)
    gate, slope = _smish_gate(z)
    return alpha * (gate + z * slope), _at_least(x, -_FAR) * gate, alpha * _near_square(x, z) * slope


def _near_square(x: Tensor, z: Tensor) -> Tensor:
    """x^2, or 0 where z is so far out that what it is multiplied with has vanished."""
    return torch.where(z.abs() < 80, x * x, 0.0)


def _gish_parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """T = exp(x), exp(-t) and 1 - exp(-t), the last by its series where t is small."""
    t = torch.exp(_at_most(x, 10.0))
    e = torch.exp(-t)
    return t, e, torch.where(t < 1 / 64, t * (1 - t * (1 / 2 - t * (1 / 6))), 1 - e)


def _gish(x: Tensor) -> Tensor:
    _, _, u = _gish_parts(x)
    return _at_least(x, -_FAR) * _log1p_of_ratio(u / (2 + u))


def _gish_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    t, e, u = _gish_parts(x)
    inverse = 1 / ((1 + u) * (2 + u))  # one division for u / (2 + u) and e / (1 + u)
    return (_log1p_of_ratio(u * (1 + u) * inverse) + _between(x, -100.0, 10.0) * (t * (e * (2 + u) * inverse)),)


def _half_q(x: Tensor) -> Tensor:
    # q = 1/(r (r + |x|)) with r = sqrt(1 + x^2); 0 where x^2 overflows.
    r = torch.sqrt(1 + x * x)
    return 0.5 / (r * (r + x.abs()))


def _pflu_below(x: Tensor) -> Tensor:
    """max(x, 0) - PFLU(x) = |x| q/2, which is what PFLU lies below ReLU."""
    magnitude = _at_most(x.abs(), _FAR)
    squared = 1 + magnitude * magnitude
    return 0.5 * magnitude / (squared + magnitude * torch.sqrt(squared))


def _pflu(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.0, x) - _pflu_below(x)


def _pflu_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    # q (-1 + 3q - q^2)/2 left of 0, 1 minus that right of it.
    h = _half_q(x)
    left = h * (h * (6 - 4 * h) - 1)
    return (torch.where(x < 0, left, 1 - left),)


def _lpflu(x: Tensor, a: Tensor) -> Tensor:
    return torch.where(x > 0, x, a * x) - (1 - a) * _pflu_below(x)


def _lpflu_derivatives(x: Tensor, a: Tensor) -> tuple[Tensor, ...]:
    half_q = _half_q(x)
    return a + (1 - a) * _pflu_derivatives(x)[0], _at_most(x, _FAR) * torch.where(x < 0, 1 - half_q, half_q)


def _sau(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    gate, bell = _normal(math.sqrt(0.5) * (beta * x))
    return (1 - alpha) * (bell * (1 / (math.sqrt(2 * math.pi) * beta)) + _at_least(x, -_FAR) * gate) + alpha * x


def _sau_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    gate, bell = _normal(math.sqrt(0.5) * (beta * x))
    density = bell * (1 / (math.sqrt(2 * math.pi) * beta))
    above = x - _at_least(x, -_FAR) * gate
    return alpha + (1 - alpha) * gate, above - density, (1 - alpha) * density * (-1 / beta)


def _smu(x: Tensor, alpha: Tensor, mu: Tensor) -> Tensor:
    gate, _ = _normal(mu * (1 - alpha) * x)
    return (1 - alpha) * (_at_least(x, -_FAR) * gate) + alpha * x


def _smu_derivatives(x: Tensor, alpha: Tensor, mu: Tensor) -> tuple[Tensor, ...]:
    rest = 1 - alpha
    scale = mu * rest
    gate, bell = _normal(scale * x)
    near = _between(x, -_FAR, _FAR)
    density = bell * (near * (1 / _ROOT_PI))  # bell is 0 long before the square below could overflow
    grad_alpha = x - near * gate - scale * near * density
    return alpha + rest * (gate + scale * density), grad_alpha, rest * rest * near * density


Derivatives = Callable[..., tuple[Tensor, ...]]

# A formula -> another way to compute it, the same arguments.
KERNEL_FORMULAS: dict[Callable[..., Tensor], Callable[..., Tensor]] = {
    F.mish: _mish,
    functional.felu: _felu,
    functional.gish: _gish,
    functional.logish: _logish,
    functional.lpflu: _lpflu,
    functional.mpelu: _mpelu,
    functional.pelu: _pelu,
    functional.pflu: _pflu,
    functional.ptelu: _ptelu,
    functional.sau: _sau,
    functional.smish: _smish,
    functional.smu: _smu,
    functional.swish: _swish,
}

# A formula -> its derivatives (df/dx, df/dparameter, ...), for parameters that are scalars.
KERNEL_DERIVATIVES: dict[Callable[..., Tensor], Derivatives] = {
    F.mish: _mish_derivatives,
    functional.felu: _felu_derivatives,
    functional.gish: _gish_derivatives,
    functional.logish: _logish_derivatives,
    functional.lpflu: _lpflu_derivatives,
    functional.mpelu: _mpelu_derivatives,
    functional.pelu: _pelu_derivatives,
    functional.pflu: _pflu_derivatives,
    functional.ptelu: _ptelu_derivatives,
    functional.sau: _sau_derivatives,
    functional.smish: _smish_derivatives,
    functional.smu: _smu_derivatives,
    functional.swish: _swish_derivatives,
}


def _leaky_of(smooth: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def formula(x: Tensor, a: Tensor, *parameters: Tensor) -> Tensor:
        return a * x + (1 - a) * smooth(x, *parameters)

    return formula


def _leaky_derivatives_of(smooth: Callable[..., Tensor], derivatives: Derivatives) -> Derivatives:
    def leaky_derivatives(x: Tensor, a: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        grad_x, *grad_params = derivatives(x, *parameters)
        return a + (1 - a) * grad_x, x - smooth(x, *parameters), *((1 - a) * each for each in grad_params)

    return leaky_derivatives


for _smooth, _formula in LEAKY_FORMULAS.items():
    if _formula not in KERNEL_FORMULAS and _smooth in KERNEL_DERIVATIVES:
        KERNEL_FORMULAS[_formula] = _leaky_of(KERNEL_FORMULAS[_smooth])
        KERNEL_DERIVATIVES[_formula] = _leaky_derivatives_of(KERNEL_FORMULAS[_smooth], KERNEL_DERIVATIVES[_smooth])

# Formulas whose parameters are vectors of coefficients, not values that broadcast against x, and the vectors' shapes.
COEFFICIENT_SHAPES: dict[Callable[..., Tensor], list[tuple[int, ...]]] = {functional.pau: [(6,), (4,)]}
