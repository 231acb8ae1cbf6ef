"""What the modules of this package share."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from lpflu_bench.activations.fused import apply as apply  # the one place where modules compute a formula


class Activation(nn.Module):
    """An activation function whose parameters and buffers never fall below float32.

    Under ``.half()``, ``.bfloat16()`` and ``.to(dtype)`` a network's weights follow; the few numbers in here don't:
    a parameter gradient summed over a large tensor overflows float16, and a running average in bfloat16 freezes.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def at_least_float32(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.is_floating_point() and moved.dtype.itemsize < 4:
                return tensor.to(moved.device, torch.float32)
            return moved

        super()._apply(at_least_float32, recurse)  # type: ignore[no-untyped-call]
        return self


def channelwise(name: str, parameter: Tensor, x: Tensor) -> Tensor:
    """Shape a parameter vector [num_parameters] so that it broadcasts along dimension 1 of ``x``.

    Raises:
        ValueError: ``x`` has another number of channels.
    """
    if parameter.numel() == 1:
        return parameter.reshape(())
    channels = x.shape[1] if x.ndim > 1 else None
    if channels != parameter.numel():
        raise ValueError(
            f"{name}: num_parameters is {parameter.numel()}, but x of shape {list(x.shape)} has "
            f"{'no channel dimension' if channels is None else f'{channels} channels'}"
        )
    return parameter.view(-1, *[1] * (x.ndim - 2))


def parameter_vector(name: str, value: float, num_parameters: int) -> nn.Parameter:
    """Return ``num_parameters`` equal float32 values, trainable.

    Raises:
        ValueError: ``num_parameters`` is less than 1.
    """
    if num_parameters < 1:
        raise ValueError(f"{name}: num_parameters must be at least 1, got {num_parameters}")
    return nn.Parameter(torch.full((num_parameters,), value, dtype=torch.float32))


def bounded(parameter: Tensor, low: float, high: float | None = None) -> Tensor:
    """Clamp a trained parameter where it is used, and let the gradient through unchanged.

    The gradient is the one at the clamped value. A plain clamp would give a parameter that an optimizer step carried
    over the bound a gradient of zero, and so leave it there for good; this one comes back as soon as the gradient
    points inside.
    """
    return parameter + (parameter.clamp(low, high) - parameter).detach()
