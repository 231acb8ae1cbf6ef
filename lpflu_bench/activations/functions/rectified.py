"""ReLU and what bends its negative side, its corner or its top: piecewise linear or quadratic, with a corner."""

import functools
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import Parameter, widened
from lpflu_bench.activations.numerics import finite_below, negative_part, positive_part, rectified
from lpflu_bench.activations.pointwise import pointwise


@pointwise(native=F.relu, inplace=functools.partial(F.relu, inplace=True))
def relu(x: Tensor) -> Tensor:
    """ReLU: max(x, 0).

    >>> relu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0., 0., 1.])
    """
    return positive_part(x)


class ReLU(Activation):
    """ReLU: max(x, 0).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, x towards plus infinity; the derivative at 0 is 0, as in PyTorch.
    Source: LPFLU paper, Eq. 3; PyTorch documentation of ``torch.nn.ReLU``.

    >>> ReLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0., 0., 1.])
    """

    function = relu


@pointwise(native=F.relu6, inplace=functools.partial(F.relu6, inplace=True))
def relu6(x: Tensor) -> Tensor:
    """ReLU6: min(max(x, 0), 6).

    >>> relu6(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0., 0., 1.])
    """
    return torch.where(x >= 6, 6.0, positive_part(x))


class ReLU6(Activation):
    """ReLU6: min(max(x, 0), 6).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, 6 towards plus infinity; the derivative at 0 and at 6 is 0.
    Source: Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010; PyTorch documentation of
    ``torch.nn.ReLU6``.

    >>> ReLU6()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0., 0., 1.])
    """

    function = relu6


def _squared_relu_derivatives(x: Tensor) -> tuple[Tensor, ...]:
    return (2 * positive_part(x),)


@pointwise(derivatives=_squared_relu_derivatives)
def squared_relu(x: Tensor) -> Tensor:
    """Squared ReLU: max(x, 0)^2.

    >>> squared_relu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0., 0., 1.])
    """
    positive = positive_part(x)
    return positive * positive


class SquaredReLU(Activation):
    """Squared ReLU: max(x, 0)^2.

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, x^2 towards plus infinity (in float16 infinity from x = 256); derivative 0 at 0, once
    continuously differentiable.
    Source: So et al., "Primer: Searching for Efficient Transformers for Language Modeling", arXiv 2109.08668.

    >>> SquaredReLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0., 0., 1.])
    """

    function = squared_relu


def _star_relu_derivatives(x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    positive = positive_part(x)
    return 2 * scale * positive, positive * positive, torch.ones_like(x)


@pointwise(derivatives=_star_relu_derivatives)
def star_relu(x: Tensor, scale: Parameter = 0.8944, bias: Parameter = -0.4472) -> Tensor:
    """StarReLU: s max(x, 0)^2 + b.

    >>> star_relu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.4472, -0.4472,  0.4472])
    """
    positive = positive_part(x)
    return scale * (positive * positive) + bias


class StarReLU(Activation):
    """StarReLU: s max(x, 0)^2 + b, with one scale s and one bias b for the layer that train.

    Args:
        scale: Initial s: 2/sqrt(5), rounded as in the official code, for mean 0 and variance 1 of standard normal inputs.
        bias: Initial b: -1/sqrt(5) likewise.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``scale`` and ``bias``, [1] each. The same in training and evaluation.
    Limits: b towards minus infinity, s x^2 towards plus infinity; derivative 0 at 0.
    Source: Yu et al., "MetaFormer Baselines for Vision", arXiv 2210.13452; code github.com/sail-sg/metaformer.

    >>> StarReLU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.4472, -0.4472,  0.4472])
    """

    function = star_relu

    def __init__(self, scale: float = 0.8944, bias: float = -0.4472, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.train_parameters(scale=scale, bias=bias)


@pointwise(native=F.leaky_relu, inplace=functools.partial(F.leaky_relu, inplace=True))
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Leaky ReLU: x > 0: x; else a x.

    >>> leaky_relu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.0100,  0.0000,  1.0000])
    """
    return torch.where(x > 0, x, negative_slope * x)


class LeakyReLU(Activation):
    """Leaky ReLU: x > 0: x; else a x.

    Args:
        negative_slope: a, fixed.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing; the same in training and evaluation.
    Limits: slope a towards minus infinity, 1 towards plus infinity; the derivative at 0 is a.
    Source: Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013; LPFLU paper, Eq. 6.

    >>> LeakyReLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.0100,  0.0000,  1.0000])
    """

    function = leaky_relu

    def __init__(self, negative_slope: float = 0.01, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.negative_slope = negative_slope


def _prelu_derivatives(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    return torch.where(x > 0, 1.0, weight), negative_part(x)


@pointwise(derivatives=_prelu_derivatives)
def prelu(x: Tensor, weight: Parameter = 0.25) -> Tensor:
    """PReLU: x > 0: x; else a x, with a slope a that trains.

    >>> prelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2500,  0.0000,  1.0000])
    """
    return rectified(x, weight * negative_part(x))


class PReLU(Activation):
    """PReLU: x > 0: x; else a x, with a slope a that trains.

    As ``torch.nn.PReLU``, with a slope that stays float32 and with a check of the channel count.

    Args:
        num_parameters: 1 (one slope for the layer) or the number of channels (dimension 1).
        init: Initial slope. Keras starts from 0; name the value in a comparison.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: ``weight`` [num_parameters]. No weight decay is advised on it. The same in training and evaluation.
    Limits: slope a towards minus infinity, 1 towards plus infinity; the derivative at 0 is a.
    Source: He et al., "Delving Deep into Rectifiers", 2015; PyTorch documentation of ``torch.nn.PReLU``.

    >>> PReLU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2500,  0.0000,  1.0000])
    """

    function = prelu

    def __init__(self, num_parameters: int = 1, init: float = 0.25, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.init = init
        self.train_parameters(num_parameters, weight=init)


@pointwise(elementwise=("a",), derivatives=_prelu_derivatives)
def rrelu(x: Tensor, a: Parameter = 11 / 48) -> Tensor:
    """RReLU: x >= 0: x; else a x, with a slope a for each element, or one for all.

    >>> rrelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2292,  0.0000,  1.0000])
    """
    return rectified(x, a * negative_part(x))


class RReLU(Activation):
    """RReLU: x >= 0: x; else a x, with a drawn from U(lower, upper) for each element in training.

    As ``torch.nn.RReLU``, also in float16 and with both bounds checked. It draws from torch's generator in its forward;
    under activation checkpointing torch restores the generator, so that the recomputation draws the same numbers.

    Args:
        lower: Lower bound of the slope.
        upper: Upper bound.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing. In training a slope is drawn for every element in every forward; in evaluation it is
    (lower + upper)/2 = 11/48. (The original text divides by a number from U(3, 8), whose test slope is 2/11.)
    Limits: slope a towards minus infinity, 1 towards plus infinity.
    Source: Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional Network", 2015; PyTorch
    documentation of ``torch.nn.RReLU``.

    >>> RReLU().eval()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2292,  0.0000,  1.0000])
    """

    function = rrelu

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, **options: Unpack[Options]) -> None:
        if not 0 <= lower < 1:
            raise ValueError(f"rrelu: lower must be in [0, 1), got {lower}")
        if not lower < upper < 1:
            raise ValueError(f"rrelu: upper must be in (lower, 1), got {upper} with lower {lower}")
        super().__init__(**options)
        self.lower = lower
        self.upper = upper

    def arguments_for(self, x: Tensor) -> tuple[Any, ...]:
        """The slope: one for each element in training."""
        if not self.training:
            return ((self.lower + self.upper) / 2,)
        return (torch.rand_like(widened(x)) * (self.upper - self.lower) + self.lower,)


@pointwise(native=F.hardswish, inplace=functools.partial(F.hardswish, inplace=True))
def hardswish(x: Tensor) -> Tensor:
    """Hardswish: x min(max(x + 3, 0), 6) / 6.

    >>> hardswish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3333,  0.0000,  0.6667])
    """
    return finite_below(x) * torch.clamp(x + 3, 0, 6) / 6


class Hardswish(Activation):
    """Hardswish: x min(max(x + 3, 0), 6) / 6.

    No parameters; the same in training and evaluation.
    Limits: 0 from -3 down, x from 3 up; derivative 1/2 at 0; minimum -0.375 at -1.5. The derivatives at -3 and 3 depend on
    the version of PyTorch (0 and 1 in recent ones).
    Source: Howard et al., "Searching for MobileNetV3", 2019; PyTorch documentation of ``torch.nn.Hardswish``.

    >>> Hardswish()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3333,  0.0000,  0.6667])
    """

    function = hardswish
