"""The formulas as the papers print them, in mpmath, and the cases that the tests run over."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mpmath import mp, mpf

from lpflu_bench.activations import functional
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


def _pau_tensors(x: torch.Tensor) -> torch.Tensor:
    coefficients = [torch.tensor(values, dtype=torch.float64) for values in (PAU_NUMERATOR, PAU_DENOMINATOR)]
    return functional.pau(x, *coefficients)


# name -> (what is tested, its reference, the parameters of both; the first set is the sheet's default)
CASES: dict[str, tuple[Callable[..., torch.Tensor], Callable[..., Any], list[tuple[float, ...]]]] = {
    "sigmoid": (torch.sigmoid, _sigmoid, [()]),
    "tanh": (torch.tanh, mp.tanh, [()]),
    "relu": (F.relu, _branches(lambda x: 0 * x), [()]),
    "leaky_relu": (F.leaky_relu, _branches(lambda x, a: a * x), [(0.01,)]),
    "prelu": (functional.prelu, _branches(lambda x, a: a * x), [(0.25,), (-0.5,)]),
    "rrelu": (functional.prelu, _branches(lambda x, a: a * x), [(11 / 48,)]),
    "ptelu": (functional.ptelu, _branches(lambda x, al, be: al * mp.tanh(be * x)), [(1.0, 1.0), (0.3, 2.5)]),
    "elu": (F.elu, _branches(lambda x, al: al * mp.expm1(x)), [(1.0,)]),
    "selu": (
        F.selu,
        _branches(
            lambda x: mpf("1.0507009873554804934") * mpf("1.6732632423543772848") * mp.expm1(x),
            lambda x: mpf("1.0507009873554804934") * x,
        ),
        [()],
    ),
    "pelu": (
        functional.pelu,
        _branches(lambda x, a, b: a * mp.expm1(x / b), lambda x, a, b: a / b * x),
        [(1.0, 1.0), (0.7, 1.9)],
    ),
    "mpelu": (functional.mpelu, _branches(lambda x, al, be: al * mp.expm1(be * x)), [(0.25, 1.0), (1.5, 0.3)]),
    "felu": (
        functional.felu,
        _branches(lambda x, al: al * (mpf(2) ** (x / mp.log(2)) - 1)),
        [(1.0,), (0.4,)],
    ),
    "eelu": (
        functional.eelu,
        _branches(lambda x, k, al, be: al * mp.expm1(be * x), lambda x, k, al, be: k * x),
        [(1.0, 1.0, 1.0), (1.2, 0.6, 2.0)],
    ),
    "gelu": (F.gelu, _gate(mp.ncdf), [()]),
    "swish": (functional.swish, lambda x, be: x * _sigmoid(be * x), [(1.0,), (2.5,), (-0.5,), (0.0,)]),
    "silu": (F.silu, _gate(_sigmoid), [()]),
    "hardswish": (F.hardswish, lambda x: x * min(max(x + 3, mpf(0)), mpf(6)) / 6, [()]),
    "reu": (functional.reu, _branches(_gate(mp.exp)), [()]),
    "mish": (F.mish, _gate(lambda x: mp.tanh(mp.log(1 + mp.exp(x)))), [()]),
    "logish": (
        functional.logish,
        lambda x, al, be: al * x * mp.log1p(_sigmoid(be * x)),
        [(1.0, 1.0), (1.0, 10.0)],
    ),
    "pflu": (functional.pflu, _pflu, [()]),
    "fpflu": (functional.fpflu, lambda x: max(x, x / (1 + x * x)), [()]),
    "smish": (
        functional.smish,
        lambda x, al, be: al * x * mp.tanh(mp.log1p(_sigmoid(be * x))),
        [(1.0, 1.0), (0.5, 3.0)],
    ),
    "gish": (functional.gish, _gate(lambda x: mp.log1p(-mp.expm1(-mp.exp(min(x, mpf(100)))))), [()]),
    "pau": (_pau_tensors, _pau, [()]),
    "sau": (functional.sau, _sau, [(0.15, 20000.0), (0.25, 1.0)]),
    "smu": (functional.smu, _smu, [(0.2, 1.0), (0.01, 2.5), (0.25, 1e6), (0.2, -1.0)]),
    "smu1": (functional.smu1, _smu1, [(0.01, 4.332461424154261e-9), (0.25, 1.0), (0.25, -0.5)]),
    "lpflu": (functional.lpflu, lambda x, a: (1 - a) * _pflu(x) + a * x, [(0.01,), (0.0,), (0.4,)]),
}
