"""What torch.compile sees of a formula: the forward and the derivatives of its kernels, as plain tensor code.

Inductor fuses that code with its neighbours, which it cannot do with a kernel of ours. From the composed formula it would
differentiate every guard; here backward is the short derivative, recomputed from the input.
"""

from typing import Any

import torch
from torch import Tensor

from lpflu_bench.activations.formula import Formula, widened
from lpflu_bench.activations.torch_private import is_transformed


def traced(formula: Formula, x: Tensor, *parameters: Any) -> Tensor:
    """The values of a formula, for ``torch.compile`` to trace: as ``formula.composed``, and differentiable once.

    Where a higher derivative can be asked for (``torch.func``, forward-mode AD), in float64, and for a formula without
    derivatives of its own, it is the composed formula.
    """
    wide = widened(x)
    if formula.derivatives is None or wide.dtype is not torch.float32 or is_transformed():
        return formula.composed(x, *parameters)
    result: Tensor = _ByHand.apply(formula, wide, *formula.prepared(x, parameters))
    return result.to(x.dtype)


class _ByHand(torch.autograd.Function):
    """A formula in float32 by its kernel's code."""

    @staticmethod
    def forward(ctx: Any, formula: Formula, x: Tensor, *parameters: Any) -> Tensor:
        ctx.formula = formula
        ctx.constants = [None if isinstance(parameter, Tensor) else parameter for parameter in parameters]
        ctx.save_for_backward(x, *(parameter for parameter in parameters if isinstance(parameter, Tensor)))
        return (formula.kernel or formula.plain)(x, *parameters)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *tensors = ctx.saved_tensors
        remaining = iter(tensors)
        parameters = [next(remaining) if constant is None else constant for constant in ctx.constants]
        assert ctx.formula.derivatives is not None
        of_x, *of_parameters = ctx.formula.derivatives(x, *parameters)
        grads = [
            (grad * derivative).sum_to_size(parameter.shape) if need else None
            for derivative, parameter, need in zip(of_parameters, parameters, ctx.needs_input_grad[2:], strict=True)
        ]
        return None, grad * of_x, *grads
