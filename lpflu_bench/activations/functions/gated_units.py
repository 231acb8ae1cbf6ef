"""Gated linear units: layers that halve the channels, and so no drop-in for an activation; not in the registry."""

from typing import ClassVar

from torch import Tensor, nn

from lpflu_bench.activations.formula import require_floating
from lpflu_bench.activations.functions.gaussian import gelu
from lpflu_bench.activations.functions.logistic import silu
from lpflu_bench.activations.functions.rectified import relu
from lpflu_bench.activations.pointwise import Pointwise


class GatedUnit(nn.Module):
    """f(gate) * value, where gate and value are the two halves of the input along one dimension.

    Args:
        dim: The dimension that is halved: -1 for tokens, 1 for images.

    Raises:
        ValueError: The dimension has an odd size.

    >>> import torch
    >>> SwiGLU(dim=1)(torch.zeros(2, 6, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    function: ClassVar[Pointwise[...]]

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Halve the dimension."""
        name = type(self).__name__.lower()
        require_floating(name, x)
        if x.shape[self.dim] % 2:
            raise ValueError(f"{name}: dimension {self.dim} of x must be even, got shape {list(x.shape)}")
        gate, value = x.chunk(2, self.dim)
        activated: Tensor = self.function(gate)
        return activated * value

    def extra_repr(self) -> str:
        """Show the dimension."""
        return f"dim={self.dim}"


class SwiGLU(GatedUnit):
    """SwiGLU: SiLU(first half) * second half. Source: Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202.

    >>> import torch
    >>> SwiGLU()(torch.tensor([-1.0, 2.0, 3.0, 4.0]))
    tensor([-0.8068,  7.0464])
    """

    function = silu


class GEGLU(GatedUnit):
    """GEGLU: GELU(first half) * second half. Source: Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202.

    >>> import torch
    >>> GEGLU()(torch.tensor([-1.0, 2.0, 3.0, 4.0]))
    tensor([-0.4760,  7.8180])
    """

    function = gelu


class ReGLU(GatedUnit):
    """ReGLU: ReLU(first half) * second half. Source: Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202.

    >>> import torch
    >>> ReGLU()(torch.tensor([-1.0, 2.0, 3.0, 4.0]))
    tensor([0., 8.])
    """

    function = relu
