"""Functions whose parameters bend more than a slope: xIELU, ACON-C, Snake; and BerLU's quadratic corner."""

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lpflu_bench.activations import numerics
from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import Parameter, require_floating, widened
from lpflu_bench.activations.numerics import FAR, between, gated, negative_part, positive_part
from lpflu_bench.activations.pointwise import pointwise


def _positive(raw: Parameter) -> Parameter:
    return F.softplus(raw) if isinstance(raw, Tensor) else math.log1p(math.exp(raw))


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))


@pointwise()
def xielu(x: Tensor, alpha_p: Parameter, alpha_n: Parameter, beta: Parameter = 0.5) -> Tensor:
    """xIELU: x > 0: p x^2 + beta x; else n (exp(x) - 1 - x) + beta x, p = softplus(alpha_p), n = beta + softplus(alpha_n).

    >>> xielu(torch.tensor([-1.0, 0.0, 1.0]), 0.8, 0.8)
    tensor([0.1148, 0.0000, 1.6711])
    """
    p, n = _positive(alpha_p), beta + _positive(alpha_n)
    positive, negative = positive_part(x), negative_part(x)
    return torch.where(
        x > 0, p * (positive * positive) + beta * positive, n * numerics.exp_minus_1(negative) + (beta - n) * negative
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

    >>> XIELU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2057,  0.0000,  1.3000])
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
    """ACON-C: (p1 - p2) x sigmoid(beta (p1 - p2) x) + p2 x.

    >>> acon_c(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
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

    >>> AconC().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
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


class MetaAconC(nn.Module):
    """Meta-ACON: :class:`AconC` whose beta a small network makes of each image's channel means.

    beta = sigmoid(BN(W2 BN(W1 mean(x)))), with 1 x 1 convolutions W1 to ``max(reduction, num_parameters // reduction)``
    channels and W2 back. A layer, not a function of single elements: it draws its weights when it is built, needs the number
    of channels, and a batch of at least two in training; so no drop-in, and not in the registry.

    Args:
        num_parameters: Channels of x, [B, C, H, W].
        reduction: 16 in the official code.

    Trained: ``p1``, ``p2`` [num_parameters] and the small network. The official code draws p1 and p2 from N(0, 1); here
    they start at 1 and 0, as in :class:`AconC`. In training the batch normalisations use the batch's statistics.
    Source: Ma et al., "Activate or Not: Learning Customized Activation", CVPR 2021, arXiv 2009.04759; code
    github.com/nmaac/acon.

    >>> MetaAconC(4).eval()(torch.zeros(2, 4, 3, 3)).shape
    torch.Size([2, 4, 3, 3])
    """

    def __init__(self, num_parameters: int, reduction: int = 16) -> None:
        super().__init__()
        for name, value in (("num_parameters", num_parameters), ("reduction", reduction)):
            if value < 1:
                raise ValueError(f"metaaconc: {name} must be at least 1, got {value}")
        inner = max(reduction, num_parameters // reduction)
        self.num_parameters = num_parameters
        self.make_beta = nn.Sequential(
            nn.Conv2d(num_parameters, inner, 1),
            nn.BatchNorm2d(inner),
            nn.Conv2d(inner, num_parameters, 1),
            nn.BatchNorm2d(num_parameters),
            nn.Sigmoid(),
        )
        self.p1 = nn.Parameter(torch.empty(num_parameters))
        self.p2 = nn.Parameter(torch.empty(num_parameters))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Give p1 and p2 their initial values; the small network's modules have their own."""
        self.p1.fill_(1.0)
        self.p2.fill_(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function with each image's own beta."""
        require_floating("metaaconc", x)
        if x.dim() != 4 or x.shape[1] != self.num_parameters:
            raise ValueError(f"metaaconc: x must have shape [B, {self.num_parameters}, H, W], got {list(x.shape)}")
        beta = self.make_beta(x.mean((2, 3), keepdim=True)).float()
        p1, p2 = self.p1.view(-1, 1, 1), self.p2.view(-1, 1, 1)
        return acon_c.plain(widened(x), p1, p2, beta).to(x.dtype)


@pointwise()
def snake(x: Tensor, a: Parameter = 1.0) -> Tensor:
    """Snake: x + sin^2(a x) / a.

    >>> snake(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2919,  0.0000,  1.7081])
    """
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

    >>> Snake().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2919,  0.0000,  1.7081])
    """

    function = snake

    def __init__(self, a: float = 1.0, num_parameters: int = 1, **options: Unpack[Options]) -> None:
        if a == 0:
            raise ValueError("snake: a must not be 0")
        super().__init__(**options)
        self.train_parameters(num_parameters, a=a)


@pointwise()
def berlu(x: Tensor, alpha: Parameter = 0.01, epsilon: Parameter = 1.0) -> Tensor:
    """BerLU: Leaky ReLU with slope alpha outside [-epsilon, epsilon], its Bernstein polynomial of degree 2 inside.

    >>> berlu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.0100,  0.2475,  1.0000])
    """
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

    >>> BerLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.0100,  0.2475,  1.0000])
    """

    function = berlu

    def __init__(self, alpha: float = 0.01, epsilon: float = 1.0, **options: Unpack[Options]) -> None:
        if not epsilon > 0:
            raise ValueError(f"berlu: epsilon must be positive, got {epsilon}")
        super().__init__(**options)
        self.alpha = alpha
        self.epsilon = epsilon
