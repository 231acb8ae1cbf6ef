"""x times a gate that is made of the logistic sigmoid: SiLU, Swish, Logish, Smish."""

import functools
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import Parameter
from lpflu_bench.activations.numerics import FAR, at_least, between, gated, log1p, near_square
from lpflu_bench.activations.pointwise import pointwise


def _swish_kernel(x: Tensor, beta: Parameter) -> Tensor:
    return at_least(x, -FAR) * torch.sigmoid(beta * x)


def _swish_derivatives(x: Tensor, beta: Parameter) -> tuple[Tensor, ...]:
    z = between(beta * x, -80.0, 80.0)
    e = torch.exp(-z)
    gate = 1 / (1 + e)
    slope = e * gate * gate  # not gate (1 - gate), which cancels right of 0
    return gate + z * slope, near_square(x, z) * slope


@pointwise(
    native=F.silu,
    inplace=functools.partial(F.silu, inplace=True),
    kernel=lambda x: _swish_kernel(x, 1.0),
    derivatives=lambda x: _swish_derivatives(x, 1.0)[:1],
)
def silu(x: Tensor) -> Tensor:
    """SiLU: x sigmoid(x).

    >>> silu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return gated(x, torch.sigmoid)


class SiLU(Activation):
    """SiLU (sigmoid linear unit): x sigmoid(x), by PyTorch's own kernel.

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative 1/2 at 0; minimum -0.278464542761 at
    -1.278464543.
    Source: Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
    Reinforcement Learning", 2018; PyTorch documentation of ``torch.nn.SiLU``.

    >>> SiLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    function = silu


@pointwise(kernel=_swish_kernel, derivatives=_swish_derivatives)
def swish(x: Tensor, beta: Parameter = 1.0) -> Tensor:
    """Swish: x sigmoid(beta x).

    >>> swish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return gated(x, lambda near: torch.sigmoid(beta * near))


class Swish(Activation):
    """Swish: x sigmoid(beta x), with a beta that trains.

    Args:
        beta: Initial beta. For a constant one call ``requires_grad_(False)``; for beta = 1, ``silu`` is the same.
        num_parameters: 1 (one beta for the layer) or the number of channels (dimension 1). The original sharing is
            UNCONFIRMED; no weight decay is recommended.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``beta`` [num_parameters], unconstrained (0 gives x/2, a negative one mirrors the function). The same in
    training and evaluation.
    Limits for beta > 0: 0 towards minus infinity, slope 1 towards plus infinity; derivative 1/2 at 0.
    Source: Ramachandran, Zoph and Le, "Searching for Activation Functions", arXiv 1710.05941.

    >>> Swish().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    function = swish

    def __init__(self, beta: float = 1.0, num_parameters: int = 1, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.train_parameters(num_parameters, beta=beta)


# The gates of Logish and Smish are rational in e = exp(-beta x): one exponential and one division.


def _logish_gate(z: Tensor) -> tuple[Tensor, Tensor]:
    """log(1 + sigmoid(z)) and its derivative."""
    e = torch.exp(-at_least(z, -28.0))  # e^2 is finite; the gate is below 1e-12 from there on
    inverse = torch.where(z < -28.0, 0.0, 1 / ((1 + e) * (2 + e)))
    return log1p((2 + e) * inverse), e * inverse


def _logish_kernel(x: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
    z = beta * x
    e = torch.exp(-at_least(z, -28.0))
    return alpha * at_least(x, -FAR) * log1p(torch.where(z < -28.0, 0.0, 1 / (1 + e)))


def _logish_derivatives(x: Tensor, alpha: Parameter, beta: Parameter) -> tuple[Tensor, ...]:
    z = between(beta * x, -80.0, 80.0)
    gate, slope = _logish_gate(z)
    return alpha * (gate + z * slope), at_least(x, -FAR) * gate, alpha * near_square(x, z) * slope


@pointwise(kernel=_logish_kernel, derivatives=_logish_derivatives)
def logish(x: Tensor, alpha: Parameter = 1.0, beta: Parameter = 1.0) -> Tensor:
    """Logish: alpha x ln(1 + sigmoid(beta x)).

    >>> logish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2382,  0.0000,  0.5487])
    """
    return alpha * gated(x, lambda near: torch.log1p(torch.sigmoid(beta * near)))


class Logish(Activation):
    """Logish: alpha x ln(1 + sigmoid(beta x)).

    Args:
        alpha: Factor, fixed.
        beta: Sharpness, fixed; the paper reports beta = 10 as the best variant.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing; the same in training and evaluation.
    Limits for alpha = beta = 1: 0 towards minus infinity, slope ln 2 (not 1) towards plus infinity; derivative ln 1.5
    at 0; minimum -0.252768816789 at -1.372454.
    Source: Zhu et al., "Logish", Neurocomputing 458, 2021.

    >>> Logish()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2382,  0.0000,  0.5487])
    """

    function = logish

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.alpha = alpha
        self.beta = beta


def _smish_gate(z: Tensor) -> tuple[Tensor, Tensor]:
    """The gate and its derivative in z."""
    e = torch.exp(-at_least(z, -43.0))  # e^2 is finite; the gate is below 3e-19 from there on
    inverse = torch.where(z < -43.0, 0.0, 1 / (5 + e * (6 + 2 * e)))
    return (3 + 2 * e) * inverse, 4 * (e * inverse) * ((e + 1) * (e + 2) * inverse)


def _smish_kernel(x: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
    return alpha * at_least(x, -FAR) * _smish_gate(beta * x)[0]


def _smish_derivatives(x: Tensor, alpha: Parameter, beta: Parameter) -> tuple[Tensor, ...]:
    z = between(beta * x, -80.0, 80.0)
    gate, slope = _smish_gate(z)
    return alpha * (gate + z * slope), at_least(x, -FAR) * gate, alpha * near_square(x, z) * slope


@pointwise(kernel=_smish_kernel, derivatives=_smish_derivatives)
def smish(x: Tensor, alpha: Parameter = 1.0, beta: Parameter = 1.0) -> Tensor:
    """Smish: alpha x tanh(ln(1 + s)), s = sigmoid(beta x), as the rational alpha x s (2 + s) / (2 + 2 s + s^2).

    >>> smish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2338,  0.0000,  0.4996])
    """

    def gate(near: Tensor) -> Tensor:
        s = torch.sigmoid(beta * near)
        n = s * (2 + s)
        return n / (2 + n)

    return alpha * gated(x, gate)


class Smish(Activation):
    """Smish: alpha x tanh(ln(1 + sigmoid(beta x))).

    Args:
        alpha: Factor, fixed.
        beta: Sharpness, fixed; 1 and 1 are reported as the best.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing; the same in training and evaluation.
    Limits for alpha = beta = 1: 0 towards minus infinity, slope 3/5 (not 1) towards plus infinity; derivative 5/13 at
    0; minimum -0.249993664 at -1.394519302.
    Source: Wang, Ren and Wang, "Smish", Electronics 11(4):540, 2022.

    >>> Smish()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2338,  0.0000,  0.4996])
    """

    function = smish

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.alpha = alpha
        self.beta = beta
