"""ELU and its relatives: the identity on the positive side, a saturating exponential (or tanh) on the negative one."""

import functools
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations import numerics
from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.numerics import negative_part, rectified
from lpflu_bench.activations.pointwise import pointwise


@pointwise(native=F.elu, native_in_exports=False, inplace=functools.partial(F.elu, inplace=True))
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """ELU: x > 0: x; else alpha (exp(x) - 1).

    >>> elu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """
    return rectified(x, alpha * numerics.exp_minus_1(negative_part(x)))


class ELU(Activation):
    """ELU (exponential linear unit): x > 0: x; else alpha (exp(x) - 1).

    Args:
        alpha: Fixed; smooth at 0 for 1 alone.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing; the same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity; derivative alpha left of 0.
    Source: Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units",
    2016.

    >>> ELU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """

    function = elu

    def __init__(self, alpha: float = 1.0, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.alpha = alpha


_SELU_SCALE = 1.0507009873554804934
_SELU_ALPHA = 1.6732632423543772848


@pointwise(native=F.selu, native_in_exports=False, inplace=functools.partial(F.selu, inplace=True))
def selu(x: Tensor) -> Tensor:
    """SELU: lambda ELU(x; alpha).

    >>> selu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.1113,  0.0000,  1.0507])
    """
    return _SELU_SCALE * rectified(x, _SELU_ALPHA * numerics.exp_minus_1(negative_part(x)))


class SELU(Activation):
    """SELU: lambda ELU(x; alpha) with lambda = 1.0507009873554805, alpha = 1.6732632423543772.

    No parameters; the same in training and evaluation.
    Limits: -1.758099 towards minus infinity, slope lambda towards plus infinity; derivative 1.758099 at 0.
    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017.

    >>> SELU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.1113,  0.0000,  1.0507])
    """

    function = selu


@pointwise(native=F.celu, native_in_exports=False, inplace=functools.partial(F.celu, inplace=True))
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """CELU: x > 0: x; else alpha (exp(x/alpha) - 1).

    >>> celu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """
    return rectified(x, alpha * numerics.exp_minus_1(negative_part(x) / alpha))


class CELU(Activation):
    """CELU: x > 0: x; else alpha (exp(x/alpha) - 1), an ELU that is smooth at 0 for every alpha.

    Args:
        alpha: Fixed, not 0.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing; the same in training and evaluation.
    Limits: -alpha towards minus infinity, slope 1 towards plus infinity; derivative 1 at 0.
    Source: Barron, "Continuously Differentiable Exponential Linear Units", arXiv 1704.07483; PyTorch documentation of
    ``torch.nn.CELU``.

    >>> CELU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.0000,  1.0000])
    """

    function = celu

    def __init__(self, alpha: float = 1.0, **options: Unpack[Options]) -> None:
        if alpha == 0:
            raise ValueError("celu: alpha must not be 0")
        super().__init__(**options)
        self.alpha = alpha


def _reu_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    negative = numerics.at_least(negative_part(x), -100.0)
    return (torch.where(x > 0, 1.0, (1 + negative) * torch.exp(negative)),)


@pointwise(derivatives=_reu_derivatives)
def reu(x: Tensor) -> Tensor:
    """REU: x > 0: x; else x exp(x).

    >>> reu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3679,  0.0000,  1.0000])
    """
    negative = numerics.finite_below(negative_part(x))
    return rectified(x, negative * torch.exp(negative))


class REU(Activation):
    """REU (rectified exponential unit): x > 0: x; else x exp(x).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative 1 at 0 (once, not twice continuously
    differentiable); minimum -1/e at -1.
    Source: Ying et al., IEEE Access 7:101633, 2019 (read as an abstract; the formula from the PFLU paper, Eq. 7,
    and the survey arXiv 2402.09092).

    >>> REU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3679,  0.0000,  1.0000])
    """

    function = reu
