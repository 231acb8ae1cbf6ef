"""x times a gate that bends exp(x): Mish and Gish."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations import numerics
from lpflu_bench.activations.base import Activation
from lpflu_bench.activations.numerics import FAR, at_least, at_most, between, gated, log1p
from lpflu_bench.activations.pointwise import pointwise


def _mish_kernel(x: Tensor) -> Tensor:
    e = torch.exp(at_most(x, 20.0))  # the gate is 1 to the last digit from 9 on
    n = e * (e + 2)
    return at_least(x, -FAR) * (n / (n + 2))


def _mish_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    near = between(x, -100.0, 20.0)
    e = torch.exp(near)
    n = e * (e + 2)
    inverse = 1 / (n + 2)
    return (inverse * (n + near * 4 * e * (e + 1) * inverse),)


@pointwise(inplace=functools.partial(F.mish, inplace=True), kernel=_mish_kernel, derivatives=_mish_derivatives)
def mish(x: Tensor) -> Tensor:
    """Mish: x tanh(ln(1 + exp(x))), as the rational x e (e + 2) / (e (e + 2) + 2), e = exp(x).

    >>> mish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """

    def gate(near: Tensor) -> Tensor:
        e = torch.exp(at_most(near, 30.0))  # the gate is 1 to the last digit of float64 from 19 on
        n = e * (e + 2)
        return n / (n + 2)

    return gated(x, gate)


class Mish(Activation):
    """Mish: x tanh(ln(1 + exp(x))); PyTorch's own CPU kernel takes several times SiLU's, this one does not.

    ``inplace=True`` runs PyTorch's kernel. In exported graphs it is the rational of one exponential: ONNX Runtime takes five
    times as long for ONNX's operator Mish (benchmarks/onnx_forms.py).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative 3/5 at 0; minimum -0.308843413 at
    -1.192431215.
    Source: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020.

    >>> Mish()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """

    function = mish


def _gish_parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """T = exp(x), exp(-t) and 1 - exp(-t), the last by its series where t is small."""
    t = torch.exp(at_most(x, 10.0))
    e = torch.exp(-t)
    return t, e, torch.where(t < 1 / 64, t * (1 - t * (1 / 2 - t * (1 / 6))), 1 - e)


def _gish_kernel(x: Tensor) -> Tensor:
    _, _, u = _gish_parts(x)
    return at_least(x, -FAR) * log1p(u)


def _gish_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    t, e, u = _gish_parts(x)
    return (log1p(u) + between(x, -100.0, 10.0) * (t * (e / (1 + u))),)


def _gish_short(x: Tensor) -> Tensor:
    return x * torch.log(2 - torch.exp(-torch.exp(x)))


@pointwise(kernel=_gish_kernel, derivatives=_gish_derivatives, short=_gish_short)
def gish(x: Tensor) -> Tensor:
    """Gish: x ln(2 - exp(-exp(x))).

    >>> gish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2683,  0.0000,  0.6596])
    """
    # exp(-exp(10)) is below the smallest float64, so nothing is lost; without it the gradient is NaN from x = 88.7 on.
    return gated(x, lambda near: torch.log1p(-numerics.exp_minus_1(-torch.exp(at_most(near, 10.0)))))


class Gish(Activation):
    """Gish: x ln(2 - exp(-exp(x))).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope ln 2 (not 1) towards plus infinity; derivative ln(2 - 1/e) at 0; minimum
    -0.278159461 at -1.282051049.
    Source: Kaytan, Aydilek and Yeroglu, "Gish: a novel activation function for image classification", Neural Computing
    and Applications 35, 2023.

    >>> Gish()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2683,  0.0000,  0.6596])
    """

    function = gish
