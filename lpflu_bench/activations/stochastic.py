"""Activation functions that draw random numbers in training mode, in their forward, from torch's generator.

None draws when it is built. Under activation checkpointing torch restores the generator, so that the recomputation
draws the same numbers.
"""

import torch
from torch import Tensor, nn

from lpflu_bench.activations import functional
from lpflu_bench.activations.base import Activation, apply, bounded, channelwise, parameter_vector


class RReLU(nn.RReLU):
    """x >= 0: x; else a x with a drawn from U(lower, upper) for each element.

    ``nn.RReLU``, also in float16 and with both bounds checked when built.

    Args:
        lower: Lower bound of the slope.
        upper: Upper bound.

    Trained: nothing. In training a slope is drawn for every element in every forward; in evaluation it is
    (lower + upper)/2 = 11/48. (The original text divides by a number from U(3, 8), whose test slope is 2/11.)
    Limits: slope a towards minus infinity, 1 towards plus infinity.
    Source: Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional Network", 2015; PyTorch
    documentation of ``torch.nn.RReLU``.
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3) -> None:
        if not 0 <= lower < 1:
            raise ValueError(f"rrelu: lower must be in [0, 1), got {lower}")
        if not lower < upper < 1:
            raise ValueError(f"rrelu: upper must be in (lower, 1), got {upper} with lower {lower}")
        super().__init__(lower, upper)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function element by element."""
        functional.require_floating("rrelu", input)
        if not self.training:
            return apply(functional.prelu, input, (self.lower + self.upper) / 2)
        a = torch.rand_like(functional.widened(input)) * (self.upper - self.lower) + self.lower
        return apply(functional.prelu, input, a)


class EELU(Activation):
    """x > 0: k x; else alpha (exp(beta x) - 1), with alpha, beta >= 0 (elastic ELU).

    Args:
        alpha: Initial alpha; 1 is UNCONFIRMED.
        beta: Initial beta; 1 is UNCONFIRMED.
        epsilon: Largest spread of k; 0.1 or 0.2 are recommended.
        num_parameters: 1 (one pair for the layer) or the number of channels (dimension 1), as in the paper.

    Trained: ``alpha``, ``beta`` [num_parameters], used as max(., 0) (UNCONFIRMED that the paper constrains them) with
    the gradient let through, so that a value below 0 can come back; if both are at or below 0, both gradients are 0.
    In training k is drawn for each element from the normal distribution N(1, sigma^2) cut to [0, 2], sigma from
    U(0, epsilon) once in every forward (how often is UNCONFIRMED); in evaluation k = 1. The cut is a clamp: with
    sigma <= 0.2 it differs from rejection with a probability below 6e-7. The paper's training in two alternating steps
    (parameters with k = 1, then weights with random k) is left to the training loop.
    Limits: -alpha towards minus infinity, slope k towards plus infinity.
    Source: Kim, Kim and Kim, "Elastic Exponential Linear Units for Convolutional Neural Networks", Neurocomputing
    406:253, 2020; details from the survey arXiv 2402.09092.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, epsilon: float = 0.1, num_parameters: int = 1) -> None:
        super().__init__()
        if not 0 <= epsilon <= 1:
            raise ValueError(f"eelu: epsilon must be in [0, 1], got {epsilon}")
        self.alpha = parameter_vector("eelu", alpha, num_parameters)
        self.beta = parameter_vector("eelu", beta, num_parameters)
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        functional.require_floating("eelu", x)
        k: Tensor | float = 1.0
        if self.training:
            wide = functional.widened(x)
            sigma = self.epsilon * torch.rand((), dtype=wide.dtype, device=x.device)
            k = (1 + sigma * torch.randn_like(wide)).clamp(0, 2)
        alpha = channelwise("eelu", bounded(self.alpha, 0), x)
        return apply(functional.eelu, x, k, alpha, channelwise("eelu", bounded(self.beta, 0), x))

    def extra_repr(self) -> str:
        """Show what is fixed."""
        return f"epsilon={self.epsilon:g}"
