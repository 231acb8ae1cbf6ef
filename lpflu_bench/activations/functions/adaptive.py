"""Functions whose parameters bend more than a slope: xIELU, ACON-C, Snake; and BerLU's quadratic corner."""

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import Parameter
from lpflu_bench.activations.numerics import FAR, between, gated, negative_part, positive_part
from lpflu_bench.activations.pointwise import pointwise


def _positive(raw: Parameter) -> Parameter:
    return F.softplus(raw) if isinstance(raw, Tensor) else math.log1p(math.exp(raw))


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))


@pointwise()
def xielu(x: Tensor, alpha_p: Parameter, alpha_n: Parameter, beta: Parameter = 0.5) -> Tensor:
    """xIELU: x > 0: p x^2 + beta x; else n (exp(x) - 1 - x) + beta x, p = softplus(alpha_p), n = beta + softplus(alpha_n)."""
    p, n = _positive(alpha_p), beta + _positive(alpha_n)
    positive, negative = positive_part(x), negative_part(x)
    return torch.where(
        x > 0, p * (positive * positive) + beta * positive, n * torch.expm1(negative) + (beta - n) * negative
    )


class XIELU(Activation):
    """xIELU (expanded integral of the ELU): x > 0: p x^2 + beta x; else n (exp(x) - 1 - x) + beta x.

    Args:
        alpha_p: Initial p, positive; the parameter is its inverse softplus.
        alpha_n: Initial n, above beta; the parameter is the inverse softplus of n - beta.
        beta: Slope at 0, fixed.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha_p``, ``alpha_n`` [1] each. The same in training and evaluation.
    Limits: slope beta - n (negative) towards minus infinity, p x^2 towards plus infinity; derivative beta at 0.
    The official code bounds the argument of exp(x) - 1 by -1e-6, which this does without.
    Source: Huang and Schlag, "Deriving Activation Functions Using Integration", arXiv 2411.13010; constants as in the ports of
    Hugging Face transformers and Apple's mlx-lm, which agree.
    """

    function = xielu

    def __init__(
        self, alpha_p: float = 0.8, alpha_n: float = 0.8, beta: float = 0.5, **options: Unpack[Options]
    ) -> None:
        if not alpha_p > 0:
            raise ValueError(f"xielu: alpha_p must be positive, got {alpha_p}")
        if not alpha_n > beta:
            raise ValueError(f"xielu: alpha_n must be above beta, got {alpha_n} with beta {beta}")
        super().__init__(**options)
        self.beta = beta
        self.train_parameters(alpha_p=_inverse_softplus(alpha_p), alpha_n=_inverse_softplus(alpha_n - beta))


@pointwise()
def acon_c(x: Tensor, p1: Parameter = 1.0, p2: Parameter = 0.0, beta: Parameter = 1.0) -> Tensor:
    """ACON-C: (p1 - p2) x sigmoid(beta (p1 - p2) x) + p2 x."""
    return gated((p1 - p2) * x, lambda near: torch.sigmoid(beta * near)) + p2 * between(x, -FAR, FAR)  # p2 may be 0


class AconC(Activation):
    """ACON-C (activate or not): (p1 - p2) x sigmoid(beta (p1 - p2) x) + p2 x, a smooth maximum of p1 x and p2 x.

    Args:
        p1: Initial p1. The official code draws p1 and p2 from N(0, 1); here building draws nothing, so that the same seed
            gives the same weights with every function, and 1 and 0 make it Swish.
        p2: Initial p2.
        beta: Initial beta; 1 in the official code's users (its paper's text is UNCONFIRMED).
        num_parameters: 1 (one triple for the layer) or the number of channels (dimension 1), as in the official code.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``p1``, ``p2``, ``beta`` [num_parameters], unconstrained. The same in training and evaluation.
    Limits for beta > 0, p1 > p2: slope p2 towards minus infinity, p1 towards plus infinity; derivative (p1 + p2)/2 at 0.
    Source: Ma et al., "Activate or Not: Learning Customized Activation", CVPR 2021, arXiv 2009.04759; code
    github.com/nmaac/acon.
    """

    function = acon_c

    def __init__(
        self,
        p1: float = 1.0,
        p2: float = 0.0,
        beta: float = 1.0,
        num_parameters: int = 1,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        self.train_parameters(num_parameters, p1=p1, p2=p2, beta=beta)


@pointwise()
def snake(x: Tensor, a: Parameter = 1.0) -> Tensor:
    """Snake: x + sin^2(a x) / a."""
    sine = torch.sin(a * x)
    return x + sine * sine / a


class Snake(Activation):
    """Snake: x + sin^2(a x) / a.

    Args:
        a: Initial frequency, not 0. The paper recommends 5 to 50 for data known to be periodic, 0.2 for other data (read in
            the README of a port; the default 1 is that port's).
        num_parameters: 1 (one a for the layer) or the number of channels (dimension 1).
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``a`` [num_parameters]; at 0 the function is undefined. The same in training and evaluation.
    Limits: x + [0, 1/a] towards both infinities, NaN at them; derivative 1 at 0; increasing.
    Source: Ziyin, Hartwig and Ueda, "Neural Networks Fail to Learn Periodic Functions and How to Fix It", arXiv 2006.08195.
    """

    function = snake

    def __init__(self, a: float = 1.0, num_parameters: int = 1, **options: Unpack[Options]) -> None:
        if a == 0:
            raise ValueError("snake: a must not be 0")
        super().__init__(**options)
        self.train_parameters(num_parameters, a=a)


@pointwise()
def berlu(x: Tensor, alpha: Parameter = 0.01, epsilon: Parameter = 1.0) -> Tensor:
    """BerLU: Leaky ReLU with slope alpha outside [-epsilon, epsilon], its Bernstein polynomial of degree 2 inside."""
    inside = x.abs() < epsilon
    near = torch.where(inside, x, 0.0)
    bend = (1 - alpha) / (4 * epsilon) * (near * near) + (1 + alpha) / 2 * near + (1 - alpha) / 4 * epsilon
    return torch.where(inside, bend, torch.where(x > 0, x, alpha * x))


class BerLU(Activation):
    """BerLU (Bernstein linear unit): Leaky ReLU whose corner is a parabola between -epsilon and epsilon.

    Args:
        alpha: Slope of the negative side, fixed. 0.01 is UNCONFIRMED.
        epsilon: Half the width of the transition, positive, fixed. 1, and that it does not train, are UNCONFIRMED.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Inside: (1 - alpha)/(4 epsilon) x^2 + (1 + alpha)/2 x + (1 - alpha)/4 epsilon, the Bernstein polynomial of degree 2 of Leaky
    ReLU there, which joins with equal slopes. UNCONFIRMED that the paper prints this polynomial: its abstract says a
    quadratic transition by Bernstein polynomials with continuous derivative, which fixes it.

    Trained: nothing; the same in training and evaluation.
    Limits: slope alpha towards minus infinity, 1 towards plus infinity; derivative (1 + alpha)/2 at 0.
    Source: Zhang et al., "Universal Smoothness via Bernstein Polynomials", arXiv 2605.02591 (read as an abstract).
    """

    function = berlu

    def __init__(self, alpha: float = 0.01, epsilon: float = 1.0, **options: Unpack[Options]) -> None:
        if not epsilon > 0:
            raise ValueError(f"berlu: epsilon must be positive, got {epsilon}")
        super().__init__(**options)
        self.alpha = alpha
        self.epsilon = epsilon
