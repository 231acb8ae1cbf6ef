"""The formulas as the papers print them, in mpmath, and the cases that the tests run over."""

import math
from collections.abc import Callable
from typing import Any

import torch
from mpmath import mp, mpf

from lpflu_bench import functional
from lpflu_bench.activations.catalogue import ENTRIES

mp.dps = 50

SMOOTH = [name for name, entry in ENTRIES.items() if entry.smooth_relu]
NAMES = [*ENTRIES, *(f"leaky_{name}" for name in SMOOTH)]

PAU_NUMERATOR = (0.02979246, 0.61837738, 2.32335207, 3.05202660, 1.48548002, 0.25103717)
PAU_DENOMINATOR = (1.14201226, 4.39322834, 0.87154450, 0.34720652)


def _gate(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x: x * function(x)


def _branches(negative: Callable[..., Any], positive: Callable[..., Any] = lambda x, *_: x) -> Callable[..., Any]:
    return lambda x, *p: positive(x, *p) if x > 0 else negative(x, *p)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _pflu(x: Any) -> Any:
    return x / 2 * (1 + x / mp.sqrt(1 + x * x))


def _pau(x: Any) -> Any:
    numerator = sum(mpf(a) * x**k for k, a in enumerate(PAU_NUMERATOR))
    return numerator / (1 + sum(abs(mpf(b)) * abs(x) ** (k + 1) for k, b in enumerate(PAU_DENOMINATOR)))


def _sau(x: Any, al: Any, be: Any) -> Any:
    return (1 - al) / be * mp.npdf(be * x) + x * (al + (1 - al) * mp.ncdf(be * x))


def _smu(x: Any, al: Any, mu: Any) -> Any:
    return ((1 + al) * x + (1 - al) * x * mp.erf(mu * (1 - al) * x)) / 2


def _smu1(x: Any, al: Any, mu: Any) -> Any:
    return ((1 + al) * x + mp.sqrt(((1 - al) * x) ** 2 + mu**2)) / 2


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))


def _xielu(x: Any, raw_p: Any, raw_n: Any, be: Any) -> Any:
    p, n = mp.log1p(mp.exp(raw_p)), be + mp.log1p(mp.exp(raw_n))
    return p * x * x + be * x if x > 0 else n * (mp.expm1(x) - x) + be * x


def _berlu(x: Any, al: Any, eps: Any) -> Any:
    """Bernstein's polynomial of degree 2 of Leaky ReLU, from its values at -eps, 0 and eps."""
    if abs(x) >= eps:
        return x if x > 0 else al * x
    t = (x + eps) / (2 * eps)
    return -al * eps * (1 - t) ** 2 + 0 * 2 * t * (1 - t) + eps * t**2


# name -> (the reference, the parameters of both; the first set is the default)
CASES: dict[str, tuple[Callable[..., Any], list[tuple[float, ...]]]] = {
    "sigmoid": (_sigmoid, [()]),
    "tanh": (mp.tanh, [()]),
    "relu": (_branches(lambda x: 0 * x), [()]),
    "leaky_relu": (_branches(lambda x, a: a * x), [(0.01,)]),
    "prelu": (_branches(lambda x, a: a * x), [(0.25,), (-0.5,)]),
    "rrelu": (_branches(lambda x, a: a * x), [(11 / 48,)]),
    "ptelu": (_branches(lambda x, al, be: al * mp.tanh(be * x)), [(1.0, 1.0), (0.3, 2.5)]),
    "elu": (_branches(lambda x, al: al * mp.expm1(x)), [(1.0,), (0.5,)]),
    "selu": (
        _branches(
            lambda x: mpf("1.0507009873554804934") * mpf("1.6732632423543772848") * mp.expm1(x),
            lambda x: mpf("1.0507009873554804934") * x,
        ),
        [()],
    ),
    "pelu": (
        _branches(lambda x, a, b: a * mp.expm1(x / b), lambda x, a, b: a / b * x),
        [(1.0, 1.0), (0.7, 1.9)],
    ),
    "mpelu": (_branches(lambda x, al, be: al * mp.expm1(be * x)), [(0.25, 1.0), (1.5, 0.3)]),
    "felu": (
        _branches(lambda x, al: al * (mpf(2) ** (x / mp.log(2)) - 1)),
        [(1.0,), (0.4,)],
    ),
    "eelu": (
        _branches(lambda x, k, al, be: al * mp.expm1(be * x), lambda x, k, al, be: k * x),
        [(1.0, 1.0, 1.0), (1.2, 0.6, 2.0)],
    ),
    "gelu": (_gate(mp.ncdf), [()]),
    "swish": (lambda x, be: x * _sigmoid(be * x), [(1.0,), (2.5,), (-0.5,), (0.0,)]),
    "silu": (_gate(_sigmoid), [()]),
    "hardswish": (lambda x: x * min(max(x + 3, mpf(0)), mpf(6)) / 6, [()]),
    "reu": (_branches(_gate(mp.exp)), [()]),
    "mish": (_gate(lambda x: mp.tanh(mp.log(1 + mp.exp(x)))), [()]),
    "logish": (
        lambda x, al, be: al * x * mp.log1p(_sigmoid(be * x)),
        [(1.0, 1.0), (1.0, 10.0)],
    ),
    "pflu": (_pflu, [()]),
    "fpflu": (lambda x: max(x, x / (1 + x * x)), [()]),
    "smish": (
        lambda x, al, be: al * x * mp.tanh(mp.log1p(_sigmoid(be * x))),
        [(1.0, 1.0), (0.5, 3.0)],
    ),
    "gish": (_gate(lambda x: mp.log1p(-mp.expm1(-mp.exp(min(x, mpf(100)))))), [()]),
    "pau": (_pau, [()]),
    "sau": (_sau, [(0.15, 20000.0), (0.25, 1.0)]),
    "smu": (_smu, [(0.2, 1.0), (0.01, 2.5), (0.25, 1e6), (0.2, -1.0)]),
    "smu1": (_smu1, [(0.01, 4.332461424154261e-9), (0.25, 1.0), (0.25, -0.5)]),
    "relu6": (lambda x: min(max(x, mpf(0)), mpf(6)), [()]),
    "squared_relu": (_branches(lambda x: 0 * x, lambda x: x * x), [()]),
    "star_relu": (_branches(lambda x, s, b: b + 0 * x, lambda x, s, b: s * x * x + b), [(0.8944, -0.4472)]),
    "celu": (_branches(lambda x, al: al * mp.expm1(x / al)), [(1.0,), (0.5,)]),
    "softplus": (lambda x, be, _: mp.log1p(mp.exp(be * x)) / be, [(1.0, 20.0), (2.0, 20.0)]),
    "golu": (_gate(lambda x: mp.exp(-mp.exp(-x)) if x > -100 else mpf(0)), [()]),
    "telu": (_gate(lambda x: mp.tanh(mp.exp(min(x, mpf(50))))), [()]),
    "serf": (_gate(lambda x: mp.erf(mp.log1p(mp.exp(x)))), [()]),
    "phish": (_gate(lambda x: mp.tanh(x * mp.ncdf(x))), [()]),
    "xatlu": (lambda x, al: x * ((1 + 2 * al) * (mp.atan(x) / mp.pi + mpf(1) / 2) - al), [(0.0,), (0.2,)]),
    "xgelu": (lambda x, al: x * ((1 + 2 * al) * mp.ncdf(x) - al), [(0.0,), (0.2,)]),
    "xsilu": (lambda x, al: x * ((1 + 2 * al) * _sigmoid(x) - al), [(0.0,), (0.2,)]),
    "xielu": (_xielu, [(_inverse_softplus(0.8), _inverse_softplus(0.3), 0.5), (0.1, -0.4, 0.3)]),
    "acon_c": (
        lambda x, p, q, be: (p - q) * x * _sigmoid(be * (p - q) * x) + q * x,
        [(1.0, 0.0, 1.0), (1.2, 0.3, 2.0), (-0.8, 0.4, 0.7)],
    ),
    "snake": (lambda x, a: x + mp.sin(a * x) ** 2 / a, [(1.0,), (0.3,)]),
    "berlu": (_berlu, [(0.01, 1.0), (0.2, 0.4)]),
    "lpflu": (lambda x, a: (1 - a) * _pflu(x) + a * x, [(0.01,), (0.0,), (0.4,)]),
}


def formula(name: str) -> Callable[..., torch.Tensor]:
    """The formula of a function, composed of plain operations: ours, also where the module runs PyTorch's kernel."""
    composed = getattr(functional, name).composed
    if name == "pau":
        coefficients = [torch.tensor(values, dtype=torch.float64) for values in (PAU_NUMERATOR, PAU_DENOMINATOR)]
        return lambda x: composed(x, *coefficients)
    if name == "gelu":
        return lambda x: composed(x, "none")
    return composed
