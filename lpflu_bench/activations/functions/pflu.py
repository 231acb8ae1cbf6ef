"""The power function linear units of Zhu et al.: PFLU and FPFLU, and the formula of LPFLU."""

import torch
from torch import Tensor

from lpflu_bench.activations.base import Activation
from lpflu_bench.activations.formula import Parameter
from lpflu_bench.activations.numerics import (
    FAR,
    at_most,
    between,
    finite_below,
    magnitude,
    negative,
    negative_part,
    rectified,
)
from lpflu_bench.activations.pointwise import pointwise


def _half_q(x: Tensor) -> Tensor:
    # q = 1/(r (r + |x|)) with r = sqrt(1 + x^2); 0 where x^2 overflows.
    r = torch.sqrt(1 + x * x)
    return 0.5 / (r * (r + x.abs()))


def _pflu_below(x: Tensor) -> Tensor:
    """max(x, 0) - PFLU(x) = |x| q/2, which is what PFLU lacks of ReLU."""
    size = at_most(x.abs(), FAR)
    squared = 1 + size * size
    return 0.5 * size / (squared + size * torch.sqrt(squared))


def _pflu_kernel(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.0, x) - _pflu_below(x)


def _pflu_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    # q (-1 + 3q - q^2)/2 left of 0, 1 minus that right of it.
    h = _half_q(x)
    left = h * (h * (6 - 4 * h) - 1)
    return (torch.where(x < 0, left, 1 - left),)


def _pflu_short(x: Tensor) -> Tensor:
    return x * (0.5 + 0.5 * (x / torch.sqrt(1 + x * x)))


@pointwise(kernel=_pflu_kernel, derivatives=_pflu_derivatives, short=_pflu_short)
def pflu(x: Tensor) -> Tensor:
    """PFLU: (x/2) (1 + x / sqrt(1 + x^2)).

    >>> pflu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1464,  0.0000,  0.8536])
    """
    # 1 + x/r cancels on the negative side; q/2 with q = 1/(r (r + |x|)) is the same number without cancellation.
    near = between(x, -FAR, FAR)
    r = torch.sqrt(1 + near * near)
    half_q = 0.5 / (r * (r + magnitude(near)))
    return torch.where(x > FAR, x, near * torch.where(near < 0, half_q, 1 - half_q))


class PFLU(Activation):
    """PFLU (power function linear unit): (x/2) (1 + x / sqrt(1 + x^2)).

    No parameters; the same in training and evaluation.
    Limits: 0 as 1/(4x) towards minus infinity, x towards plus infinity; derivative 1/2 at 0; minimum -0.150141553 at
    -0.786151378. Computed without the cancellation of the printed form.
    Source: Zhu et al., "PFLU and FPFLU: Two novel non-monotonic activation functions in convolutional neural networks",
    Neurocomputing 429:110, 2021, Eq. 10.

    >>> PFLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1464,  0.0000,  0.8536])
    """

    function = pflu


def _lpflu_kernel(x: Tensor, a: Tensor) -> Tensor:
    return torch.where(x > 0, x, a * x) - (1 - a) * _pflu_below(x)


def _lpflu_derivatives(x: Tensor, a: Tensor) -> tuple[Tensor, ...]:
    half_q = _half_q(x)
    return a + (1 - a) * _pflu_derivatives(x)[0], at_most(x, FAR) * torch.where(x < 0, 1 - half_q, half_q)


def _lpflu_short(x: Tensor, a: Parameter) -> Tensor:
    return x * ((1 + a) / 2 + (1 - a) / 2 * (x / torch.sqrt(1 + x * x)))


@pointwise(kernel=_lpflu_kernel, derivatives=_lpflu_derivatives, short=_lpflu_short)
def lpflu(x: Tensor, a: Parameter = 0.01) -> Tensor:
    """LPFLU: (1 - a) PFLU(x) + a x.

    >>> lpflu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1550,  0.0000,  0.8550])
    """
    return (1 - a) * pflu.plain(x) + a * x


pflu.leaky = lpflu


def _fpflu_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    squared = negative(x) ** 2
    inverse = 1 / (1 + squared)
    return (torch.where(x > 0, 1.0, inverse * (2 * inverse - 1)),)


@pointwise(derivatives=_fpflu_derivatives)
def fpflu(x: Tensor) -> Tensor:
    """FPFLU: x > 0: x; else x / (1 + x^2).

    >>> fpflu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.5000,  0.0000,  1.0000])
    """
    below = finite_below(negative_part(x))
    return rectified(x, below / (1 + below * below))


class FPFLU(Activation):
    """FPFLU (faster PFLU): x > 0: x; else x / (1 + x^2).

    No parameters; the same in training and evaluation.
    Limits: 0 as 1/x towards minus infinity, slope 1 towards plus infinity; derivative 1 at 0; minimum -1/2 at -1.
    Some packages have the same paper's IMPFLU, x (1 + x / sqrt(1 + x^2)) on the negative side, under this name.
    Source: Zhu et al., "PFLU and FPFLU", Neurocomputing 429:110, 2021, Eq. 13.

    >>> FPFLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.5000,  0.0000,  1.0000])
    """

    function = fpflu
