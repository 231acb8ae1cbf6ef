"""Activation functions without trained parameters that PyTorch has no module for."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from lpflu_bench.activations import functional
from lpflu_bench.activations.base import apply


class Mish(nn.Mish):
    """X tanh(ln(1 + exp(x))): ``nn.Mish`` with the fast path, since PyTorch's own CPU kernel takes several times SiLU's.

    Args:
        inplace: Write the result over the input, with PyTorch's kernel.

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative 3/5 at 0; minimum -0.308843413 at
    -1.192431215.
    Source: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function element by element."""
        functional.require_floating("mish", input)
        return super().forward(input) if self.inplace else apply(F.mish, input)


class REU(nn.Module):
    """x > 0: x; else x exp(x) (rectified exponential unit).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope 1 towards plus infinity; derivative 1 at 0 (once, not twice continuously
    differentiable); minimum -1/e at -1.
    Source: Ying et al., IEEE Access 7:101633, 2019 (read as an abstract; the formula from the PFLU paper, Eq. 7,
    and the survey arXiv 2402.09092).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.reu, x)


class Logish(nn.Module):
    """Alpha x ln(1 + sigmoid(beta x)).

    Args:
        alpha: Factor, fixed.
        beta: Sharpness, fixed; the paper reports beta = 10 as the best variant.

    Trained: nothing; the same in training and evaluation.
    Limits for alpha = beta = 1: 0 towards minus infinity, slope ln 2 (not 1) towards plus infinity; derivative ln 1.5
    at 0; minimum -0.252768816789 at -1.372454.
    Source: Zhu et al., "Logish", Neurocomputing 458, 2021.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.logish, x, self.alpha, self.beta)

    def extra_repr(self) -> str:
        """Show the parameters."""
        return f"alpha={self.alpha:g}, beta={self.beta:g}"


class PFLU(nn.Module):
    """(x/2) (1 + x / sqrt(1 + x^2)) (power function linear unit).

    No parameters; the same in training and evaluation.
    Limits: 0 as 1/(4x) towards minus infinity, x towards plus infinity; derivative 1/2 at 0; minimum -0.150141553 at
    -0.786151378. Computed without the cancellation of the printed form.
    Source: Zhu et al., "PFLU and FPFLU: Two novel non-monotonic activation functions in convolutional neural networks",
    Neurocomputing 429:110, 2021, Eq. 10.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.pflu, x)


class FPFLU(nn.Module):
    """x > 0: x; else x / (1 + x^2) (faster PFLU).

    No parameters; the same in training and evaluation.
    Limits: 0 as 1/x towards minus infinity, slope 1 towards plus infinity; derivative 1 at 0; minimum -1/2 at -1.
    Some packages have the same paper's IMPFLU, x (1 + x / sqrt(1 + x^2)) on the negative side, under this name.
    Source: Zhu et al., "PFLU and FPFLU", Neurocomputing 429:110, 2021, Eq. 13.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.fpflu, x)


class Smish(nn.Module):
    """Alpha x tanh(ln(1 + sigmoid(beta x))).

    Args:
        alpha: Factor, fixed.
        beta: Sharpness, fixed; 1 and 1 are reported as the best.

    Trained: nothing; the same in training and evaluation.
    Limits for alpha = beta = 1: 0 towards minus infinity, slope 3/5 (not 1) towards plus infinity; derivative 5/13 at
    0; minimum -0.249993664 at -1.394519302.
    Source: Wang, Ren and Wang, "Smish", Electronics 11(4):540, 2022.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.smish, x, self.alpha, self.beta)

    def extra_repr(self) -> str:
        """Show the parameters."""
        return f"alpha={self.alpha:g}, beta={self.beta:g}"


class Gish(nn.Module):
    """X ln(2 - exp(-exp(x))).

    No parameters; the same in training and evaluation.
    Limits: 0 towards minus infinity, slope ln 2 (not 1) towards plus infinity; derivative ln(2 - 1/e) at 0; minimum
    -0.278159461 at -1.282051049.
    Source: Kaytan, Aydilek and Yeroglu, "Gish: a novel activation function for image classification", Neural Computing
    and Applications 35, 2023.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        return apply(functional.gish, x)


class FunctionActivation(nn.Module):
    """Any function of a tensor as a module, with fixed settings.

    Args:
        function: Takes the tensor first; a function of a module can be pickled, a lambda can't.
        **settings: Its keyword arguments.
    """

    def __init__(self, function: Callable[..., Tensor], **settings: Any) -> None:
        super().__init__()
        self.function = function
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function."""
        return self.function(x, **self.settings)

    def extra_repr(self) -> str:
        """Show the function and its settings."""
        return ", ".join(
            [
                getattr(self.function, "__name__", repr(self.function)),
                *(f"{name}={value}" for name, value in self.settings.items()),
            ]
        )
