"""Activation functions with parameters that train."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from lpflu_bench.activations import functional
from lpflu_bench.activations.base import Activation, apply, bounded, channelwise, parameter_vector


class PReLU(Activation, nn.PReLU):
    """x > 0: x; else a x.

    ``nn.PReLU`` with a slope that stays float32 and with a check of the channel count.

    Args:
        num_parameters: 1 (one slope for the layer) or the number of channels (dimension 1).
        init: Initial slope. Keras starts from 0; name the value in a comparison.

    Trained: ``weight`` [num_parameters]. No weight decay is advised on it. The same in training and evaluation.
    Limits: slope a towards minus infinity, 1 towards plus infinity; the derivative at 0 is a.
    Source: He et al., "Delving Deep into Rectifiers", 2015; PyTorch documentation of ``torch.nn.PReLU``.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        if num_parameters < 1:
            raise ValueError(f"prelu: num_parameters must be at least 1, got {num_parameters}")
        super().__init__(num_parameters, init, dtype=torch.float32)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.prelu, input, channelwise("prelu", self.weight, input))


class PTELU(Activation):
    """x >= 0: x; else alpha tanh(beta x), with alpha, beta >= 0 (P-TELU).

    Args:
        alpha: Initial alpha. UNCONFIRMED (the paper was read as an abstract only): 1 is what every implementation
            found uses, and with beta = 1 the only choice that is smooth at 0.
        beta: Initial beta. UNCONFIRMED likewise.
        num_parameters: 1 (one pair for the layer) or the number of channels (dimension 1). The sharing is
            UNCONFIRMED; a survey has one pair for each neuron.

    Trained: ``alpha``, ``beta`` [num_parameters], used as max(., 0) with the gradient let through, so that a value
    below 0 can come back. If both are at or below 0, both gradients are 0: the function is then ReLU and stays so.
    The same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity.
    Source: Duggal and Gupta, "P-TELU", ICCV Workshops 2017; formula from the surveys arXiv 2109.14545 (Eq. 19) and
    arXiv 2402.09092.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, num_parameters: int = 1) -> None:
        super().__init__()
        self.alpha = parameter_vector("ptelu", alpha, num_parameters)
        self.beta = parameter_vector("ptelu", beta, num_parameters)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        alpha = channelwise("ptelu", bounded(self.alpha, 0), x)
        return apply(functional.ptelu, x, alpha, channelwise("ptelu", bounded(self.beta, 0), x))


class PELU(Activation):
    """x >= 0: (a/b) x; else a (exp(x/b) - 1) (parametric ELU); continuously differentiable for every a and b.

    Args:
        a: Initial a.
        b: Initial b.

    Trained: ``a``, ``b``, scalars, used within [0.1, 2] and [0.1, inf) as in the authors' code (the upper bound is in
    the code only, which moves the parameter itself to 0.11, 1.99 and 0.11 before a forward). Here the value is clamped
    where it is used and the gradient let through, so that a parameter beyond a bound can come back.
    Whether the paper exempts them from weight decay is UNCONFIRMED; the code decays them. The same in training and
    evaluation.
    Limits: -a towards minus infinity, slope a/b towards plus infinity; derivative a/b at 0.
    Source: Trottier et al., "Parametric Exponential Linear Unit for Deep Convolutional Neural Networks", 2017; code
    github.com/ltrottier/pelu.resnet.torch.
    """

    def __init__(self, a: float = 1.0, b: float = 1.0) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float32))
        self.b = nn.Parameter(torch.tensor(b, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.pelu, x, bounded(self.a, 0.1, 2.0), bounded(self.b, 0.1))


class MPELU(Activation):
    """x > 0: x; else alpha (exp(beta x) - 1) (multiple parametric ELU).

    Args:
        alpha: Initial alpha: 0.25 as in the authors' PyTorch code; their Torch7 and Caffe layers start from 1.
        beta: Initial beta.
        num_parameters: 1 (one pair for the layer) or the number of channels (dimension 1); the authors' layers have
            both.

    Trained: ``alpha``, ``beta`` [num_parameters]. beta is used as max(beta, 0) with the gradient let through, since the
    negative branch explodes for a negative one; the authors' code leaves it free. The authors train both with 5 times
    the learning rate and 5 or 10 times the weight decay. The same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity; derivative alpha beta left of 0.
    Source: Li et al., "Improving Deep Neural Network with Multiple Parametric Exponential Linear Units", 2018; code
    github.com/Coldmooon/Code-for-MPELU.
    """

    def __init__(self, alpha: float = 0.25, beta: float = 1.0, num_parameters: int = 1) -> None:
        super().__init__()
        self.alpha = parameter_vector("mpelu", alpha, num_parameters)
        self.beta = parameter_vector("mpelu", beta, num_parameters)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        alpha = channelwise("mpelu", self.alpha, x)
        return apply(functional.mpelu, x, alpha, channelwise("mpelu", bounded(self.beta, 0), x))


class FELU(Activation):
    """x > 0: x; else alpha (2^(x/ln 2) - 1) (fast ELU): since 2^(x/ln 2) = exp(x), ELU with an alpha that trains.

    The base is UNCONFIRMED: the primary text could not be read, and the survey arXiv 2109.14545 (Eq. 40) prints base e,
    which is another function (slope alpha/ln 2 left of 0). Base 2 is what the paper's argument of speed (2^y by bit
    shifts) requires.

    Args:
        alpha: Initial alpha; 1 is UNCONFIRMED (from a port).
        num_parameters: 1 (one alpha for the layer) or the number of channels (dimension 1; UNCONFIRMED, from a port).

    Trained: ``alpha`` [num_parameters], unconstrained. The same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity; derivative alpha at 0.
    Source: Qiumei, Dan and Fenghua, IEEE Access 7:151359, 2019.
    """

    def __init__(self, alpha: float = 1.0, num_parameters: int = 1) -> None:
        super().__init__()
        self.alpha = parameter_vector("felu", alpha, num_parameters)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.felu, x, channelwise("felu", self.alpha, x))


class Swish(Activation):
    """X sigmoid(beta x).

    Args:
        beta: Initial beta. For a constant one call ``requires_grad_(False)``; for beta = 1, ``silu`` is the same.
        num_parameters: 1 (one beta for the layer) or the number of channels (dimension 1). The original sharing is
            UNCONFIRMED; no weight decay is recommended.

    Trained: ``beta`` [num_parameters], unconstrained (0 gives x/2, a negative one mirrors the function). The same in
    training and evaluation.
    Limits for beta > 0: 0 towards minus infinity, slope 1 towards plus infinity; derivative 1/2 at 0.
    Source: Ramachandran, Zoph and Le, "Searching for Activation Functions", arXiv 1710.05941.
    """

    def __init__(self, beta: float = 1.0, num_parameters: int = 1) -> None:
        super().__init__()
        self.beta = parameter_vector("swish", beta, num_parameters)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.swish, x, channelwise("swish", self.beta, x))


class PAU(Activation):
    """P(x) / Q(x), P = a0 + ... + a5 x^5, Q = 1 + |b1| |x| + ... + |b4| x^4 (safe Padé activation unit, order 5/4).

    This is the safe denominator of the authors' code. The paper is believed to print Q = 1 + |b1 x + ... + b4 x^4|
    (UNCONFIRMED); the coefficients do not fit that one. They approximate Leaky ReLU (slope 0.01) on [-3, 3] within
    0.03, and nothing outside: the slope is 0.72302 towards both infinities at the start.

    Trained: ``numerator`` [6] and ``denominator`` [4], shared by the layer. A denominator coefficient acts through its
    absolute value: one that is exactly 0 gets no gradient. The same in training and evaluation.
    Limits: slope a5/|b4| towards both infinities; f(0) = a0; derivative a1 at 0, where it has a kink.
    Source: Molina, Schramowski and Kersting, "Padé Activation Units", arXiv 1907.06732; code
    github.com/ml-research/pau.
    """

    NUMERATOR: ClassVar[tuple[float, ...]] = (0.02979246, 0.61837738, 2.32335207, 3.05202660, 1.48548002, 0.25103717)
    DENOMINATOR: ClassVar[tuple[float, ...]] = (1.14201226, 4.39322834, 0.87154450, 0.34720652)

    def __init__(self) -> None:
        super().__init__()
        self.numerator = nn.Parameter(torch.tensor(self.NUMERATOR, dtype=torch.float32))
        self.denominator = nn.Parameter(torch.tensor(self.DENOMINATOR, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.pau, x, self.numerator, self.denominator)


class SAU(Activation):
    """((1 - alpha)/beta) phi(beta x) + x (alpha + (1 - alpha) Phi(beta x)): Leaky ReLU smoothed by a Gaussian.

    The exact convolution; a published code omits the factor 1 - alpha of the first term. With the default beta it is
    Leaky ReLU but for |x| < 2e-4.

    Args:
        alpha: Initial slope of the negative side. 0.15 is UNCONFIRMED (from third-party code).
        beta: Sharpness, fixed, positive. 20000 is UNCONFIRMED likewise.

    Trained: ``alpha``, a scalar, unconstrained. The same in training and evaluation.
    Limits: slope alpha towards minus infinity, 1 towards plus infinity; derivative (1 + alpha)/2 at 0.
    Source: Biswas et al., "SAU: Smooth Activation Function Using Convolution with Approximate Identities",
    arXiv 2109.13210.
    """

    def __init__(self, alpha: float = 0.15, beta: float = 20000.0) -> None:
        super().__init__()
        if not beta > 0:
            raise ValueError(f"sau: beta must be positive, got {beta}")
        self.alpha = nn.Parameter(torch.tensor(alpha, dtype=torch.float32))
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.sau, x, self.alpha, self.beta)

    def extra_repr(self) -> str:
        """Show what is fixed."""
        return f"beta={self.beta:g}"


class SMU(Activation):
    """((1 + alpha) x + (1 - alpha) x erf(mu (1 - alpha) x)) / 2: a smooth maximum of x and alpha x.

    Args:
        alpha: Slope of the negative side, fixed.
        mu: Initial sharpness.

    The defaults are those of the LPFLU paper (0.2, 1). Others: the CVPR text and github.com/iFe1er/SMU_pytorch since
    2022 (0.01, 2.5; that the text says so is UNCONFIRMED), the code before (0.25, 1e6). GELU is (0, 1/sqrt 2).

    Trained: ``mu``, a scalar, unconstrained; below 0 the function becomes the smooth minimum. The same in training and
    evaluation.
    Limits for mu > 0: slope alpha towards minus infinity, 1 towards plus infinity; derivative (1 + alpha)/2 at 0;
    monotone from alpha = 0.1141852 on.
    Source: Biswas et al., "Smooth Maximum Unit", CVPR 2022, arXiv 2111.04682.
    """

    def __init__(self, alpha: float = 0.2, mu: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.mu = nn.Parameter(torch.tensor(mu, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.smu, x, self.alpha, self.mu)

    def extra_repr(self) -> str:
        """Show what is fixed."""
        return f"alpha={self.alpha:g}"


class SMU1(Activation):
    """((1 + alpha) x + sqrt((1 - alpha)^2 x^2 + mu^2)) / 2: a smooth maximum of x and alpha x, increasing and convex.

    Args:
        alpha: Slope of the negative side, fixed.
        mu: Initial mu; must not be 0, where the function is Leaky ReLU and its gradient at x = 0 undefined (NaN).

    The defaults are those of github.com/iFe1er/SMU_pytorch since 2022 (0.01, 4.332461424154261e-9; that the paper says
    so is UNCONFIRMED); before, 0.25 and 4.352665993287951e-9. With them the function is numerically Leaky ReLU, and the
    gradient of mu is about 1e-9 but for |x| < 1e-8: it trains in name only.

    Trained: ``mu``, a scalar. The same in training and evaluation.
    Limits: slope alpha towards minus infinity, 1 towards plus infinity; f(0) = |mu|/2, derivative (1 + alpha)/2 at 0.
    Source: Biswas et al., "Smooth Maximum Unit", CVPR 2022, arXiv 2111.04682.
    """

    def __init__(self, alpha: float = 0.01, mu: float = 4.332461424154261e-9) -> None:
        super().__init__()
        if not abs(mu) > 1e-18:
            raise ValueError(f"smu1: mu must not be 0 (nor below 1e-18), where the gradient at x = 0 is lost, got {mu}")
        self.alpha = alpha
        self.mu = nn.Parameter(torch.tensor(mu, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.smu1, x, self.alpha, self.mu)

    def extra_repr(self) -> str:
        """Show what is fixed."""
        return f"alpha={self.alpha:g}"
