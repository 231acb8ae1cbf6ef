"""Quotients of two polynomials with coefficients that train."""

from typing import ClassVar, Literal, Unpack

import torch
from torch import Tensor, nn

from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import require_floating
from lpflu_bench.activations.pointwise import pointwise


@pointwise(coefficients={"numerator": 6, "denominator": 4})
def pau(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """PAU: P(x) / Q(x), P = a0 + ... + a5 x^5, Q = 1 + |b1| |x| + ... + |b4| x^4.

    ``numerator`` [6] and ``denominator`` [4] hold the coefficients.

    >>> pau(torch.tensor([-1.0, 0.0, 1.0]), torch.ones(6), torch.ones(4))
    tensor([0.0000, 1.0000, 1.2000])
    """
    a0, a1, a2, a3, a4, a5 = numerator.unbind()
    b1, b2, b3, b4 = denominator.abs().unbind()
    outside = x.abs() > 1
    # Powers of x overflow (float32: from 5e7 on), so outside [-1, 1] both are divided by x^4 and run in u = 1/x.
    t = torch.where(outside, 0.0, x)
    m = t.abs()
    inner = (((((a5 * t + a4) * t + a3) * t + a2) * t + a1) * t + a0) / ((((b4 * m + b3) * m + b2) * m + b1) * m + 1)
    far = torch.where(outside, x, 1.0)
    u = 1 / far
    v = u.abs()
    outer = (a5 * far + ((((a0 * u + a1) * u + a2) * u + a3) * u + a4)) / ((((v + b1) * v + b2) * v + b3) * v + b4)
    return torch.where(outside, outer, inner)


class PAU(Activation):
    """PAU (Padé activation unit, safe, order 5/4): P(x) / Q(x), P = a0 + ... + a5 x^5, Q = 1 + |b1| |x| + ... + |b4| x^4.

    This is the safe denominator of the authors' code. The paper is believed to print Q = 1 + |b1 x + ... + b4 x^4|
    (UNCONFIRMED); the coefficients do not fit that one. They approximate Leaky ReLU (slope 0.01) on [-3, 3] within
    0.03, and nothing outside: the slope is 0.72302 towards both infinities at the start.

    Trained: ``numerator`` [6] and ``denominator`` [4], shared by the layer. A denominator coefficient acts through its
    absolute value: one that is exactly 0 gets no gradient. The same in training and evaluation.
    Limits: slope a5/|b4| towards both infinities; f(0) = a0; derivative a1 at 0, where it has a kink.
    Source: Molina, Schramowski and Kersting, "Padé Activation Units", arXiv 1907.06732; code
    github.com/ml-research/pau.

    >>> PAU().requires_grad_(False)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.0107,  0.0298,  1.0008])
    """

    function = pau

    NUMERATOR: ClassVar[tuple[float, ...]] = (0.02979246, 0.61837738, 2.32335207, 3.05202660, 1.48548002, 0.25103717)
    DENOMINATOR: ClassVar[tuple[float, ...]] = (1.14201226, 4.39322834, 0.87154450, 0.34720652)

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.train_parameters(numerator=self.NUMERATOR, denominator=self.DENOMINATOR)


class GroupedRational(nn.Module):
    """GR-KAN's grouped rational: :class:`PAU` with a denominator for each group of channels and one numerator for all.

    A layer that needs a number of channels its groups divide, so no drop-in, and not in the registry. Forward and backward
    run PAU's kernels on each group: one pass that computes the input's gradient and sums those of the coefficients, which is
    what FlashKAT (arXiv 2505.13813) does on a GPU in place of atomic additions; its own kernels are not used.

    Args:
        num_groups: Groups of neighbouring channels; 8 in the official code.
        start: "swish" or "identity": what the coefficients approximate at first, with the official values (swish on
            [-3, 3]). The denominators of identity are 0, where their gradient is 0 too.
        dim: The dimension of the channels: 1 for images, -1 for tokens.

    Trained: ``numerator`` [6], ``denominators`` [num_groups, 4]. The same in training and evaluation.
    Source: Yang and Wang, "Kolmogorov-Arnold Transformer", arXiv 2409.10594; the denominator 1 + |b1| |x| + ... + |b4| x^4 and
    the coefficients from the official code, github.com/Adamdad/rational_kat_cu.

    >>> GroupedRational(num_groups=2)(torch.zeros(1, 4, 2, 2)).shape
    torch.Size([1, 4, 2, 2])
    """

    STARTS: ClassVar[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
        "swish": (
            (3.054879741e-07, 0.5000007854, 0.2499978342, 0.05326628273, 0.005803034571, 0.0002751961022),
            (-4.111554956e-06, 0.1065289935, -1.26900074e-06, 0.0005502331264),
        ),
        "identity": ((0.0, 1.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    }

    def __init__(self, num_groups: int = 8, start: Literal["swish", "identity"] = "swish", dim: int = 1) -> None:
        super().__init__()
        if num_groups < 1:
            raise ValueError(f"groupedrational: num_groups must be at least 1, got {num_groups}")
        if start not in self.STARTS:
            raise ValueError(f"groupedrational: start must be one of {', '.join(self.STARTS)}, got {start!r}")
        self.num_groups = num_groups
        self.start = start
        self.dim = dim
        self.numerator = nn.Parameter(torch.empty(6))
        self.denominators = nn.Parameter(torch.empty(num_groups, 4))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Give the coefficients their initial values."""
        numerator, denominator = self.STARTS[self.start]
        self.numerator.copy_(torch.tensor(numerator))
        self.denominators.copy_(torch.tensor(denominator).expand(self.num_groups, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Apply each group's function to its channels."""
        require_floating("groupedrational", x)
        if not -x.dim() <= self.dim < x.dim() or x.shape[self.dim] % self.num_groups:
            where = f"dimension {self.dim} of x, got shape {list(x.shape)}"
            raise ValueError(f"groupedrational: num_groups {self.num_groups} must divide {where}")
        groups = zip(x.chunk(self.num_groups, self.dim), self.denominators, strict=True)
        return torch.cat([pau(group, self.numerator, denominator) for group, denominator in groups], self.dim)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"num_groups={self.num_groups}, start={self.start!r}, dim={self.dim}"
