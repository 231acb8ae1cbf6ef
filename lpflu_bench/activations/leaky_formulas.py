"""Leaky(S)(x) = (1 - a) S(x) + a x as one formula for each smooth S, so that the fast path takes it in one pass."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from lpflu_bench.activations import functional

Formula = Callable[..., Tensor]


def _leaky(smooth: Formula) -> Formula:
    def formula(x: Tensor, a: Tensor | float, *parameters: Tensor | float) -> Tensor:
        wide = functional.widened(x)
        return functional.leaky(wide, smooth(wide, *parameters), a).to(x.dtype)

    formula.__name__ = formula.__qualname__ = f"leaky_{smooth.__name__}"
    return formula


LEAKY_FORMULAS: dict[Formula, Formula] = {
    functional.pflu: functional.lpflu,
    **{
        smooth: _leaky(smooth)
        for smooth in (
            F.gelu,
            F.mish,
            F.silu,
            functional.fpflu,
            functional.gish,
            functional.logish,
            functional.reu,
            functional.smish,
            functional.swish,
        )
    },
}
"""The formula S(x, *parameters) -> the formula ``leaky(x, a, *parameters)``."""
