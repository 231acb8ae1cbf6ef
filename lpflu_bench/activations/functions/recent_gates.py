"""Smooth gates of recent years: x times a gate, plain (GoLU, TeLU, Serf, Phish) or with an expanded range (xATLU...)."""

import math
from typing import Unpack

import torch
from torch import Tensor

from lpflu_bench.activations import numerics
from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import Parameter
from lpflu_bench.activations.numerics import (
    FAR,
    at_least,
    at_most,
    between,
    erf,
    erfc,
    gated,
    log1p,
    normal,
    softplus,
    tanh,
    upper_tail,
)
from lpflu_bench.activations.pointwise import pointwise


def _golu_kernel(x: Tensor) -> Tensor:
    return at_least(x, -FAR) * torch.exp(-torch.exp(-at_least(x, -10.0)))


def _golu_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    near = between(x, -10.0, 80.0)
    t = torch.exp(-near)
    return (torch.exp(-t) * (1 + near * t),)


@pointwise(kernel=_golu_kernel, derivatives=_golu_derivatives)
def golu(x: Tensor) -> Tensor:
    """GoLU: x exp(-exp(-x)).

    >>> golu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.0660,  0.0000,  0.6922])
    """
    # exp(-exp(10)) is below the smallest float64, so nothing is lost; without it the gradient is 0 times infinity.
    return gated(x, lambda near: torch.exp(-torch.exp(-at_least(near, -10.0))))


class GoLU(Activation):
    """GoLU (Gompertz linear unit): x exp(-exp(-x)).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative 1/e at 0.
    Source: Das et al., "Gompertz Linear Units: Leveraging Asymmetry for Enhanced Learning Dynamics", arXiv 2502.03654.

    >>> GoLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.0660,  0.0000,  0.6922])
    """

    function = golu


def _telu_gate(t: Tensor) -> tuple[Tensor, Tensor]:
    """tanh(t) and its derivative, for t >= 0."""
    m = numerics.expm1(-2 * t)
    inverse = 1 / (2 + m)
    return -m * inverse, 4 * (1 + m) * inverse * inverse


def _telu_kernel(x: Tensor) -> Tensor:
    return at_least(x, -FAR) * _telu_gate(torch.exp(at_most(x, 10.0)))[0]


def _telu_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    near = between(x, -100.0, 10.0)
    t = torch.exp(near)
    gate, slope = _telu_gate(t)
    return (gate + near * t * slope,)


@pointwise(kernel=_telu_kernel, derivatives=_telu_derivatives)
def telu(x: Tensor) -> Tensor:
    """TeLU: x tanh(exp(x)).

    >>> telu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3521,  0.0000,  0.9913])
    """
    return gated(x, lambda near: torch.tanh(torch.exp(at_most(near, 10.0))))


class TeLU(Activation):
    """TeLU (hyperbolic tangent exponential linear unit): x tanh(exp(x)).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative tanh 1 at 0.
    Source: Fernandez and Mali, "TeLU Activation Function for Fast and Stable Deep Learning", arXiv 2412.20269.

    >>> TeLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3521,  0.0000,  0.9913])
    """

    function = telu


def _serf_softplus(x: Tensor) -> tuple[Tensor, Tensor]:
    """ln(1 + exp(x)), and exp(-|x|)."""
    u = torch.exp(-x.abs())
    return torch.where(x > 0, x, 0.0) + log1p(u), u


def _serf_kernel(x: Tensor) -> Tensor:
    return at_least(x, -FAR) * erf(_serf_softplus(x)[0])


def _serf_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    near = between(x, -100.0, 8.0)  # exp(-s^2) is 0 in all that follows from there on
    s, u = _serf_softplus(near)
    tail, bell = erfc(s)
    return (1 - tail + near * (2 / math.sqrt(math.pi)) * bell * (torch.where(near < 0, u, 1.0) / (1 + u)),)


@pointwise(kernel=_serf_kernel, derivatives=_serf_derivatives)
def serf(x: Tensor) -> Tensor:
    """Serf: x erf(ln(1 + exp(x))).

    >>> serf(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3422,  0.0000,  0.9367])
    """
    return gated(x, lambda near: torch.erf(softplus(near)))


class Serf(Activation):
    """Serf (log-softplus error activation function): x erf(ln(1 + exp(x))).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative erf(ln 2) at 0.
    Source: Nag et al., "SERF: Towards Better Training of Deep Neural Networks Using Log-Softplus ERror Activation
    Function", arXiv 2108.09598.

    >>> Serf()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3422,  0.0000,  0.9367])
    """

    function = serf


def _phish_kernel(x: Tensor) -> Tensor:
    near = between(x, -20.0, 20.0)
    return at_least(x, -FAR) * tanh(near * normal(math.sqrt(0.5) * near)[0])


def _phish_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    near = between(x, -20.0, 20.0)
    cdf, bell = normal(math.sqrt(0.5) * near)
    gelu = near * cdf
    m = torch.exp(-2 * gelu.abs())
    inverse = 1 / (1 + m)
    gate = (1 - m) * inverse
    slope = cdf + near * bell * (1 / math.sqrt(2 * math.pi))
    return (torch.where(gelu < 0, -gate, gate) + near * 4 * m * inverse * inverse * slope,)


@pointwise(kernel=_phish_kernel, derivatives=_phish_derivatives)
def phish(x: Tensor) -> Tensor:
    """Phish: x tanh(GELU(x)).

    >>> phish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.1573, 0.0000, 0.6865])
    """
    return gated(x, lambda near: torch.tanh(near * upper_tail(-near)))


class Phish(Activation):
    """Phish: x tanh(GELU(x)).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, from above, slope 1 towards plus infinity; derivative 0 at 0.
    Source: Naveen, "Phish: A Novel Hyper-Optimizable Activation Function", TechRxiv 17283824, 2022.

    >>> Phish()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.1573, 0.0000, 0.6865])
    """

    function = phish


def _arctan_gate(x: Tensor) -> Tensor:
    """arctan(x)/pi + 1/2, without cancellation on the negative side."""
    below = x < -1
    far = torch.where(below, x, -1.0)
    return torch.where(below, torch.atan(-1 / far) / math.pi, torch.atan(torch.where(below, 0.0, x)) / math.pi + 0.5)


class _ExpandedGate(Activation):
    """What the three have in common: one alpha for the layer, which trains."""

    def __init__(self, alpha: float = 0.0, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.train_parameters(alpha=alpha)


@pointwise()
def xatlu(x: Tensor, alpha: Parameter = 0.0) -> Tensor:
    """xATLU: x ((1 + 2 alpha) (arctan(x)/pi + 1/2) - alpha).

    >>> xatlu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2500,  0.0000,  0.7500])
    """
    return gated(x, lambda near: (1 + 2 * alpha) * _arctan_gate(near) - alpha)


class XATLU(_ExpandedGate):
    """xATLU (expanded arctan linear unit): x ((1 + 2 alpha) (arctan(x)/pi + 1/2) - alpha).

    Args:
        alpha: Initial alpha, by which the gate reaches beyond 0 and 1. 0 is UNCONFIRMED.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha`` [1], unconstrained. The same in training and evaluation.
    Limits: slope -alpha towards minus infinity (for alpha = 0 the value -1/pi), 1 + alpha towards plus infinity;
    derivative 1/2 at 0.
    Source: Huang, "Expanded Gating Ranges Improve Activation Functions", arXiv 2405.20768 (read as an abstract; that the
    gate is scaled by 1 + 2 alpha and shifted by alpha is UNCONFIRMED).

    >>> XATLU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2500,  0.0000,  0.7500])
    """

    function = xatlu


def _xgelu_kernel(x: Tensor, alpha: Tensor) -> Tensor:
    gate = normal(math.sqrt(0.5) * x)[0]
    return at_least(x, -FAR) * ((1 + 2 * alpha) * gate - alpha)


def _xgelu_derivatives(x: Tensor, alpha: Tensor) -> tuple[Tensor, ...]:
    near = between(x, -FAR, FAR)
    gate, bell = normal(math.sqrt(0.5) * x)
    slope = gate + near * bell * (1 / math.sqrt(2 * math.pi))
    return (1 + 2 * alpha) * slope - alpha, near * (2 * gate - 1)


@pointwise(kernel=_xgelu_kernel, derivatives=_xgelu_derivatives)
def xgelu(x: Tensor, alpha: Parameter = 0.0) -> Tensor:
    """xGELU: x ((1 + 2 alpha) Phi(x) - alpha).

    >>> xgelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    return gated(x, lambda near: (1 + 2 * alpha) * upper_tail(-near) - alpha)


class XGELU(_ExpandedGate):
    """xGELU (expanded GELU): x ((1 + 2 alpha) Phi(x) - alpha).

    Args:
        alpha: Initial alpha, by which the gate reaches beyond 0 and 1. 0, where it is GELU, is UNCONFIRMED.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha`` [1], unconstrained. The same in training and evaluation.
    Limits: slope -alpha towards minus infinity, 1 + alpha towards plus infinity; derivative 1/2 at 0.
    Source: as for xATLU (the form of the expansion is UNCONFIRMED).

    >>> XGELU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """

    function = xgelu


@pointwise()
def xsilu(x: Tensor, alpha: Parameter = 0.0) -> Tensor:
    """xSiLU: x ((1 + 2 alpha) sigmoid(x) - alpha).

    >>> xsilu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return gated(x, lambda near: (1 + 2 * alpha) * torch.sigmoid(near) - alpha)


class XSiLU(_ExpandedGate):
    """xSiLU (expanded SiLU): x ((1 + 2 alpha) sigmoid(x) - alpha).

    Args:
        alpha: Initial alpha, by which the gate reaches beyond 0 and 1. 0, where it is SiLU, is UNCONFIRMED.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha`` [1], unconstrained. The same in training and evaluation.
    Limits: slope -alpha towards minus infinity, 1 + alpha towards plus infinity; derivative 1/2 at 0.
    Source: as for xATLU (the form of the expansion is UNCONFIRMED).

    >>> XSiLU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    function = xsilu
