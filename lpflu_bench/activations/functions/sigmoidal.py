"""The logistic sigmoid, tanh, and softplus, whose derivative the sigmoid is."""

from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations import numerics
from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.pointwise import pointwise


@pointwise(native=torch.sigmoid, inplace=torch.sigmoid_)
def sigmoid(x: Tensor) -> Tensor:
    """Sigmoid: 1 / (1 + exp(-x)).

    >>> sigmoid(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """
    return torch.sigmoid(x)


class Sigmoid(Activation):
    """Sigmoid: 1 / (1 + exp(-x)).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, 1 towards plus infinity; derivative 1/4 at 0.
    Source: LPFLU paper, Eq. 1; PyTorch documentation of ``torch.nn.Sigmoid``.

    >>> Sigmoid()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """

    function = sigmoid


@pointwise(native=torch.tanh, inplace=torch.tanh_)
def tanh(x: Tensor) -> Tensor:
    """Tanh: (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    >>> tanh(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  0.7616])
    """
    return torch.tanh(x)


class Tanh(Activation):
    """Tanh: (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    No parameters; the same in training and evaluation.
    Limits: -1 towards minus infinity, 1 towards plus infinity; derivative 1 at 0.
    Source: LPFLU paper, Eq. 2; PyTorch documentation of ``torch.nn.Tanh``.

    >>> Tanh()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  0.7616])
    """

    function = tanh


@pointwise(native=F.softplus, native_in_exports=False)
def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Softplus: ln(1 + exp(beta x)) / beta.

    >>> softplus(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.3133, 0.6931, 1.3133])
    """
    bend = numerics.softplus(beta * x) / beta
    return torch.where(beta * x > threshold, x, bend) if threshold < 20 else bend


class Softplus(Activation):
    """Softplus: ln(1 + exp(beta x)) / beta.

    Args:
        beta: Sharpness, fixed.
        threshold: PyTorch's kernel returns x itself where beta x is above it.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Trained: nothing; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; f(0) = ln 2 / beta, derivative 1/2 at 0.
    Source: Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing", 2000; PyTorch
    documentation of ``torch.nn.Softplus``.

    >>> Softplus()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.3133, 0.6931, 1.3133])
    """

    function = softplus

    def __init__(self, beta: float = 1.0, threshold: float = 20.0, **options: Unpack[Options]) -> None:
        if not beta > 0:
            raise ValueError(f"softplus: beta must be positive, got {beta}")
        super().__init__(**options)
        self.beta = beta
        self.threshold = threshold
