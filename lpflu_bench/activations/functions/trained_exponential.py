"""ELU's relatives with trained parameters: PELU, MPELU, FELU, EELU, PTELU."""

from typing import Any, Unpack

import torch
from torch import Tensor

from lpflu_bench.activations import numerics
from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import Parameter, widened
from lpflu_bench.activations.numerics import negative_part, positive_part, rectified
from lpflu_bench.activations.pointwise import pointwise


def _pelu_kernel(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(x > 0, a / b * positive_part(x), a * numerics.expm1(numerics.negative(x) / b))


def _pelu_derivatives(x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    e = numerics.expm1(numerics.negative(x) / b)
    slope = a / b * (e + 1)
    return slope, torch.where(x > 0, x / b, e), numerics.at_least(x, -numerics.FAR) * slope / -b


@pointwise(bounds={"a": (0.1, 2.0), "b": (0.1, None)}, kernel=_pelu_kernel, derivatives=_pelu_derivatives)
def pelu(x: Tensor, a: Parameter = 1.0, b: Parameter = 1.0) -> Tensor:
    """PELU: x >= 0: (a/b) x; else a (exp(x/b) - 1).

    >>> pelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """
    # The quotient multiplies max(x, 0), not x: its gradient must not see the negative branch's infinity.
    return torch.where(x > 0, a / b * positive_part(x), a * numerics.exp_minus_1(negative_part(x) / b))


class PELU(Activation):
    """PELU (parametric ELU): x >= 0: (a/b) x; else a (exp(x/b) - 1); continuously differentiable for every a and b.

    Args:
        a: Initial a.
        b: Initial b.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``a``, ``b``, [1] each, used within [0.1, 2] and [0.1, inf) as in the authors' code (the upper bound is in
    the code only, which moves the parameter itself to 0.11, 1.99 and 0.11 before a forward). Here the value is clamped
    where it is used and the gradient let through, so that a parameter beyond a bound can come back.
    Whether the paper exempts them from weight decay is UNCONFIRMED; the code decays them. The same in training and
    evaluation.
    Limits: -a towards minus infinity, slope a/b towards plus infinity; derivative a/b at 0.
    Source: Trottier et al., "Parametric Exponential Linear Unit for Deep Convolutional Neural Networks", 2017; code
    github.com/ltrottier/pelu.resnet.torch.

    >>> PELU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """

    function = pelu

    def __init__(self, a: float = 1.0, b: float = 1.0, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.train_parameters(a=a, b=b)


def _mpelu_kernel(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return torch.where(x > 0, x, alpha * numerics.expm1(beta * numerics.negative(x)))


def _mpelu_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    negative = numerics.negative(x)
    e = numerics.expm1(beta * negative)
    slope = alpha * (e + 1)
    return torch.where(x > 0, 1.0, beta * slope), e, negative * slope


@pointwise(bounds={"beta": (0.0, None)}, kernel=_mpelu_kernel, derivatives=_mpelu_derivatives)
def mpelu(x: Tensor, alpha: Parameter = 0.25, beta: Parameter = 1.0) -> Tensor:
    """MPELU: x > 0: x; else alpha (exp(beta x) - 1).

    >>> mpelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1580,  0.0000,  1.0000])
    """
    return rectified(x, alpha * numerics.exp_minus_1(beta * negative_part(x)))


class MPELU(Activation):
    """MPELU (multiple parametric ELU): x > 0: x; else alpha (exp(beta x) - 1).

    Args:
        alpha: Initial alpha: 0.25 as in the authors' PyTorch code; their Torch7 and Caffe layers start from 1.
        beta: Initial beta.
        num_parameters: 1 (one pair for the layer) or the number of channels (dimension 1); the authors' layers have
            both.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha``, ``beta`` [num_parameters]. beta is used as max(beta, 0) with the gradient let through, since the
    negative branch explodes for a negative one; the authors' code leaves it free. The authors train both with 5 times
    the learning rate and 5 or 10 times the weight decay. The same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity; derivative alpha beta left of 0.
    Source: Li et al., "Improving Deep Neural Network with Multiple Parametric Exponential Linear Units", 2018; code
    github.com/Coldmooon/Code-for-MPELU.

    >>> MPELU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1580,  0.0000,  1.0000])
    """

    function = mpelu

    def __init__(
        self, alpha: float = 0.25, beta: float = 1.0, num_parameters: int = 1, **options: Unpack[Options]
    ) -> None:
        super().__init__(**options)
        self.train_parameters(num_parameters, alpha=alpha, beta=beta)


def _felu_kernel(x: Tensor, alpha: Tensor) -> Tensor:
    return torch.where(x > 0, x, alpha * numerics.expm1(numerics.negative(x)))


def _felu_derivatives(x: Tensor, alpha: Tensor) -> tuple[Tensor, ...]:
    e = numerics.expm1(numerics.negative(x))
    return torch.where(x > 0, 1.0, alpha * (e + 1)), e


@pointwise(kernel=_felu_kernel, derivatives=_felu_derivatives)
def felu(x: Tensor, alpha: Parameter = 1.0) -> Tensor:
    """FELU: x > 0: x; else alpha (2^(x/ln 2) - 1), which is alpha (exp(x) - 1).

    >>> felu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """
    return rectified(x, alpha * numerics.exp_minus_1(negative_part(x)))


class FELU(Activation):
    """FELU (fast ELU): x > 0: x; else alpha (2^(x/ln 2) - 1): since 2^(x/ln 2) = exp(x), ELU with an alpha that trains.

    The base is UNCONFIRMED: the primary text could not be read, and the survey arXiv 2109.14545 (Eq. 40) prints base e,
    which is another function (slope alpha/ln 2 left of 0). Base 2 is what the paper's argument of speed (2^y by bit
    shifts) requires.

    Args:
        alpha: Initial alpha; 1 is UNCONFIRMED (from a port).
        num_parameters: 1 (one alpha for the layer) or the number of channels (dimension 1; UNCONFIRMED, from a port).
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha`` [num_parameters], unconstrained. The same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity; derivative alpha at 0.
    Source: Qiumei, Dan and Fenghua, IEEE Access 7:151359, 2019.

    >>> FELU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """

    function = felu

    def __init__(self, alpha: float = 1.0, num_parameters: int = 1, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.train_parameters(num_parameters, alpha=alpha)


@pointwise(bounds={"alpha": (0.0, None), "beta": (0.0, None)}, elementwise=("k",))
def eelu(x: Tensor, k: Parameter = 1.0, alpha: Parameter = 1.0, beta: Parameter = 1.0) -> Tensor:
    """EELU: x > 0: k x; else alpha (exp(beta x) - 1), with a slope k for each element, or one for all.

    >>> eelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """
    return torch.where(x > 0, k * positive_part(x), alpha * numerics.exp_minus_1(beta * negative_part(x)))


class EELU(Activation):
    """EELU (elastic ELU): x > 0: k x; else alpha (exp(beta x) - 1), with alpha, beta >= 0 and a random k in training.

    Args:
        alpha: Initial alpha; 1 is UNCONFIRMED.
        beta: Initial beta; 1 is UNCONFIRMED.
        epsilon: Largest spread of k; 0.1 or 0.2 are recommended.
        num_parameters: 1 (one pair for the layer) or the number of channels (dimension 1), as in the paper.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha``, ``beta`` [num_parameters], used as max(., 0) (UNCONFIRMED that the paper constrains them) with
    the gradient let through, so that a value below 0 can come back; if both are at or below 0, both gradients are 0.
    In training k is drawn for each element from the normal distribution N(1, sigma^2) cut to [0, 2], sigma from
    U(0, epsilon) once in every forward (how often is UNCONFIRMED); in evaluation k = 1. The cut is a clamp: with
    sigma <= 0.2 it differs from rejection with a probability below 6e-7. The paper's training in two alternating steps
    (parameters with k = 1, then weights with random k) is left to the training loop.
    Limits: -alpha towards minus infinity, slope k towards plus infinity.
    Source: Kim, Kim and Kim, "Elastic Exponential Linear Units for Convolutional Neural Networks", Neurocomputing
    406:253, 2020; details from the survey arXiv 2402.09092.

    >>> EELU().eval().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """

    function = eelu

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        epsilon: float = 0.1,
        num_parameters: int = 1,
        **options: Unpack[Options],
    ) -> None:
        if not 0 <= epsilon <= 1:
            raise ValueError(f"eelu: epsilon must be in [0, 1], got {epsilon}")
        super().__init__(**options)
        self.epsilon = epsilon
        self.train_parameters(num_parameters, alpha=alpha, beta=beta)

    def arguments_for(self, x: Tensor) -> tuple[Any, ...]:
        """The slope k, one for each element in training, and the parameters."""
        k: Parameter = 1.0
        if self.training:
            wide = widened(x)
            sigma = self.epsilon * torch.rand((), dtype=wide.dtype, device=x.device)
            k = (1 + sigma * torch.randn_like(wide)).clamp(0, 2)
        return k, self.alpha, self.beta


def _ptelu_kernel(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    e = numerics.expm1(2 * beta * numerics.negative(x))
    return torch.where(x > 0, x, alpha * (e / (e + 2)))


def _ptelu_derivatives(x: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
    negative = numerics.negative(x)
    e = numerics.expm1(2 * beta * negative)
    inverse = 1 / (e + 2)
    slope = alpha * (4 * (e + 1) * inverse * inverse)  # alpha (1 - tanh^2)
    return torch.where(x > 0, 1.0, beta * slope), e * inverse, negative * slope


@pointwise(bounds={"alpha": (0.0, None), "beta": (0.0, None)}, kernel=_ptelu_kernel, derivatives=_ptelu_derivatives)
def ptelu(x: Tensor, alpha: Parameter = 1.0, beta: Parameter = 1.0) -> Tensor:
    """P-TELU: x >= 0: x; else alpha tanh(beta x).

    >>> ptelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  1.0000])
    """
    return rectified(x, alpha * torch.tanh(beta * negative_part(x)))


class PTELU(Activation):
    """P-TELU (parametric tan hyperbolic linear unit): x >= 0: x; else alpha tanh(beta x), with alpha, beta >= 0.

    Args:
        alpha: Initial alpha. UNCONFIRMED (the paper was read as an abstract only): 1 is what every implementation
            found uses, and with beta = 1 the only choice that is smooth at 0.
        beta: Initial beta. UNCONFIRMED likewise.
        num_parameters: 1 (one pair for the layer) or the number of channels (dimension 1). The sharing is
            UNCONFIRMED; a survey has one pair for each neuron.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``alpha``, ``beta`` [num_parameters], used as max(., 0) with the gradient let through, so that a value
    below 0 can come back. If both are at or below 0, both gradients are 0: the function is then ReLU and stays so.
    The same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity.
    Source: Duggal and Gupta, "P-TELU", ICCV Workshops 2017; formula from the surveys arXiv 2109.14545 (Eq. 19) and
    arXiv 2402.09092.

    >>> PTELU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  1.0000])
    """

    function = ptelu

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, num_parameters: int = 1, **options: Unpack[Options]
    ) -> None:
        super().__init__(**options)
        self.train_parameters(num_parameters, alpha=alpha, beta=beta)
