"""GELU, and the smooth maxima of x and alpha x: SAU, SMU, SMU-1."""

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import Parameter
from lpflu_bench.activations.numerics import FAR, at_least, at_most, between, gated, magnitude, normal, upper_tail
from lpflu_bench.activations.pointwise import pointwise

_TANH_SCALE = math.sqrt(2 / math.pi)


def _gelu_kernel(x: Tensor, approximate: str) -> Tensor:
    if approximate == "tanh":
        return gelu.plain(x, approximate)
    return at_least(x, -FAR) * normal(math.sqrt(0.5) * x)[0]


def _gelu_derivatives(x: Tensor, approximate: str) -> tuple[Tensor, ...]:
    near = between(x, -FAR, FAR)
    if approximate == "tanh":
        near = between(x, -20.0, 20.0)  # the gate is 0 or 1 there, and its slope 0
        inner = _TANH_SCALE * near * (1 + 0.044715 * near * near)
        gate = torch.sigmoid(2 * inner)
        slope = 2 * _TANH_SCALE * (1 + 3 * 0.044715 * near * near) * gate * torch.sigmoid(-2 * inner)
        return gate + near * slope, torch.zeros_like(x)
    gate, bell = normal(math.sqrt(0.5) * x)
    return gate + near * bell * (1 / math.sqrt(2 * math.pi)), torch.zeros_like(x)


def _gelu_short(x: Tensor, approximate: str) -> Tensor:
    if approximate == "tanh":
        return gelu.plain(x, approximate)
    return x * (0.5 + 0.5 * torch.erf(x * math.sqrt(0.5)))


@pointwise(
    native=lambda x, approximate: F.gelu(x, approximate=approximate),
    kernel=_gelu_kernel,
    derivatives=_gelu_derivatives,
    short=_gelu_short,
)
def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """GELU: x Phi(x), Phi the distribution function of the standard normal.

    >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate == "tanh":

        def gate(near: Tensor) -> Tensor:
            near = between(near, -20.0, 20.0)
            return torch.sigmoid(2 * _TANH_SCALE * near * (1 + 0.044715 * near * near))

        return gated(x, gate)
    return gated(x, lambda near: upper_tail(-near))


class GELU(Activation):
    """GELU (Gaussian error linear unit): x Phi(x), by PyTorch's own kernel.

    On CPUs with AVX-512 that kernel gives NaN at plus infinity; ``leaky_gelu`` does not use it.

    Args:
        approximate: "none", or "tanh" for the approximation by tanh, which differs by up to 5e-4.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative 1/2 at 0; minimum -0.16997120748 at
    -0.751791525.
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016; PyTorch documentation of ``torch.nn.GELU``.

    >>> GELU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """

    function = gelu

    def __init__(self, approximate: str = "none", **options: Unpack[Options]) -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"gelu: approximate must be none or tanh, got {approximate!r}")
        super().__init__(**options)
        self.approximate = approximate


def _sau_kernel(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    gate, bell = normal(math.sqrt(0.5) * (beta * x))
    return (1 - alpha) * (bell * (1 / (math.sqrt(2 * math.pi) * beta)) + at_least(x, -FAR) * gate) + alpha * x


def _sau_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    gate, bell = normal(math.sqrt(0.5) * (beta * x))
    density = bell * (1 / (math.sqrt(2 * math.pi) * beta))
    above = x - at_least(x, -FAR) * gate
    return alpha + (1 - alpha) * gate, above - density, (1 - alpha) * density * (-1 / beta)


def _sau_short(x: Tensor, alpha: Parameter, beta: Parameter) -> Tensor:
    z = x * (beta * math.sqrt(0.5))
    bell = torch.exp(-(z * z)) * ((1 - alpha) / (beta * math.sqrt(2 * math.pi)))
    return bell + x * ((1 + alpha) / 2 + (1 - alpha) / 2 * torch.erf(z))


@pointwise(kernel=_sau_kernel, derivatives=_sau_derivatives, short=_sau_short)
def sau(x: Tensor, alpha: Parameter = 0.15, beta: Parameter = 20000.0) -> Tensor:
    """SAU: ((1 - alpha) / beta) phi(beta x) + x (alpha + (1 - alpha) Phi(beta x)), phi and Phi the standard normal's.

    >>> sau(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.5000e-01,  1.6955e-05,  1.0000e+00])
    """
    # beta x first: beta^2 x^2 with the default 20000 is the first to overflow.
    z = between(beta * x, -100.0, 100.0)  # the density is 0 there
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return (1 - alpha) * (density / beta + gated(x, lambda near: upper_tail(-beta * near))) + alpha * x


class SAU(Activation):
    """SAU (smooth activation unit): Leaky ReLU smoothed by a Gaussian.

    ((1 - alpha)/beta) phi(beta x) + x (alpha + (1 - alpha) Phi(beta x)), the exact convolution; a published code omits the
    factor 1 - alpha of the first term. With the default beta it is Leaky ReLU but for |x| < 2e-4.

    Args:
        alpha: Initial slope of the negative side. 0.15 is UNCONFIRMED (from third-party code).
        beta: Sharpness, fixed, positive. 20000 is UNCONFIRMED likewise.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha`` [1], unconstrained. The same in training and evaluation.
    Limits: slope alpha towards minus infinity, 1 towards plus infinity; derivative (1 + alpha)/2 at 0.
    Source: Biswas et al., "SAU: Smooth Activation Function Using Convolution with Approximate Identities",
    arXiv 2109.13210.

    >>> SAU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.5000e-01,  1.6955e-05,  1.0000e+00])
    """

    function = sau

    def __init__(self, alpha: float = 0.15, beta: float = 20000.0, **options: Unpack[Options]) -> None:
        if not beta > 0:
            raise ValueError(f"sau: beta must be positive, got {beta}")
        super().__init__(**options)
        self.beta = beta
        self.train_parameters(alpha=alpha)


def _smu_kernel(x: Tensor, alpha: Tensor, mu: Tensor) -> Tensor:
    gate, _ = normal(mu * (1 - alpha) * x)
    return (1 - alpha) * (at_least(x, -FAR) * gate) + alpha * x


def _smu_derivatives(x: Tensor, alpha: Tensor, mu: Tensor) -> tuple[Tensor, ...]:
    rest = 1 - alpha
    scale = mu * rest
    gate, bell = normal(scale * x)
    near = between(x, -FAR, FAR)
    density = bell * (near * (1 / math.sqrt(math.pi)))  # bell is 0 long before the square below could overflow
    grad_alpha = x - near * gate - scale * near * density
    return alpha + rest * (gate + scale * density), grad_alpha, rest * rest * near * density


def _smu_short(x: Tensor, alpha: Parameter, mu: Parameter) -> Tensor:
    return x * ((1 + alpha) / 2 + (1 - alpha) / 2 * torch.erf(x * (mu * (1 - alpha))))


@pointwise(kernel=_smu_kernel, derivatives=_smu_derivatives, short=_smu_short)
def smu(x: Tensor, alpha: Parameter = 0.2, mu: Parameter = 1.0) -> Tensor:
    """SMU: ((1 + alpha) x + (1 - alpha) x erf(mu (1 - alpha) x)) / 2, in the form that keeps its tail alpha x.

    >>> smu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3032,  0.0000,  0.8968])
    """
    return (1 - alpha) * gated(x, lambda near: torch.erfc(-mu * (1 - alpha) * near) / 2) + alpha * x


class SMU(Activation):
    """SMU (smooth maximum unit): ((1 + alpha) x + (1 - alpha) x erf(mu (1 - alpha) x)) / 2.

    Args:
        alpha: Slope of the negative side, fixed.
        mu: Initial sharpness.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    The defaults are those of the LPFLU paper (0.2, 1). Others: the CVPR text and github.com/iFe1er/SMU_pytorch since
    2022 (0.01, 2.5; that the text says so is UNCONFIRMED), the code before (0.25, 1e6). GELU is (0, 1/sqrt 2).

    Trained: ``mu`` [1], unconstrained; below 0 the function becomes the smooth minimum. The same in training and
    evaluation.
    Limits for mu > 0: slope alpha towards minus infinity, 1 towards plus infinity; derivative (1 + alpha)/2 at 0;
    monotone from alpha = 0.1141852 on.
    Source: Biswas et al., "Smooth Maximum Unit", CVPR 2022, arXiv 2111.04682.

    >>> SMU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3032,  0.0000,  0.8968])
    """

    function = smu

    def __init__(self, alpha: float = 0.2, mu: float = 1.0, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.alpha = alpha
        self.train_parameters(mu=mu)


def _smu1_derivatives(x: Tensor, alpha: Tensor, mu: Tensor) -> tuple[Tensor, ...]:
    rest = 1 - alpha
    near = between(x, -FAR, FAR)
    inverse = 1 / torch.sqrt(rest * rest * near * near + mu * mu)
    t = rest * near * inverse
    return (1 + alpha + rest * t) / 2, (x - near * t) / 2, mu * inverse / 2


@pointwise(derivatives=_smu1_derivatives)
def smu1(x: Tensor, alpha: Parameter = 0.01, mu: Parameter = 4.332461424154261e-9) -> Tensor:
    """SMU-1: ((1 + alpha) x + sqrt((1 - alpha)^2 x^2 + mu^2)) / 2, as Leaky ReLU plus what it exceeds it by.

    >>> smu1(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.0000e-02,  2.1662e-09,  1.0000e+00])
    """
    # sqrt(c^2 x^2 + mu^2) - c |x| is mu^2 over their sum, without cancellation. The bound keeps the square finite, as
    # torch.hypot would, which ONNX does not have; mu must be above 1e-19 in float32 for its square not to vanish.
    size = (1 - alpha) * at_most(magnitude(x), FAR)
    root = torch.sqrt(size * size + mu * mu)
    return torch.where(x < 0, alpha * x, x) + mu * (mu / (root + size)) / 2


class SMU1(Activation):
    """SMU-1: ((1 + alpha) x + sqrt((1 - alpha)^2 x^2 + mu^2)) / 2: a smooth maximum of x and alpha x.

    Args:
        alpha: Slope of the negative side, fixed.
        mu: Initial mu; must not be 0, where the function is Leaky ReLU and its gradient at x = 0 undefined (NaN).
        options: See :class:`~lpflu_bench.activations.base.Options`.

    The defaults are those of github.com/iFe1er/SMU_pytorch since 2022 (0.01, 4.332461424154261e-9; that the paper says
    so is UNCONFIRMED); before, 0.25 and 4.352665993287951e-9. With them the function is numerically Leaky ReLU, and the
    gradient of mu is about 1e-9 but for |x| < 1e-8: it trains in name only.

    Trained: ``mu`` [1]. The same in training and evaluation.
    Limits: slope alpha towards minus infinity, 1 towards plus infinity; f(0) = |mu|/2, derivative (1 + alpha)/2 at 0;
    increasing and convex.
    Source: Biswas et al., "Smooth Maximum Unit", CVPR 2022, arXiv 2111.04682.

    >>> SMU1().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.0000e-02,  2.1662e-09,  1.0000e+00])
    """

    function = smu1

    def __init__(self, alpha: float = 0.01, mu: float = 4.332461424154261e-9, **options: Unpack[Options]) -> None:
        if not abs(mu) > 1e-18:
            raise ValueError(f"smu1: mu must not be 0 (nor below 1e-18), where the gradient at x = 0 is lost, got {mu}")
        super().__init__(**options)
        self.alpha = alpha
        self.train_parameters(mu=mu)
