"""Stride surgery: keep only a network's last spatial downsamplings, for small images."""

import math
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from lpflu_bench.activations.swap.inputs import image
from lpflu_bench.activations.swap.run import run_without_trace
from lpflu_bench.errors import UserError, one_line

_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d)


@dataclass(frozen=True)
class StridedModule:
    """A convolution or pooling layer that makes its input smaller by its stride."""

    path: str
    before: int
    """How many times the image has been halved where it reads."""
    after: int
    """How many times where it writes."""


def strided_modules(network: nn.Module, image_size: int = 224) -> list[StridedModule]:
    """Return the strided modules in call order; those with equal ``before`` belong to one downsampling.

    So the main and the projection branch of a block are found together, whatever the block is.
    """
    found: list[StridedModule] = []

    def record(path: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            before, after = (round(math.log2(image_size / x.shape[-1])) for x in (inputs[0], output))
            if after > before:
                found.append(StridedModule(path, before, after))

        return hook

    handles = [
        module.register_forward_hook(record(path))
        for path, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, *_POOLS)) and _stride(module) > 1
    ]
    try:
        run_without_trace(network, image(image_size))
    finally:
        for handle in handles:
            handle.remove()
    return found


def keep_last_downsamplings(network: nn.Module, keep: int, name: str) -> None:
    """Take the stride out of the earliest downsamplings, in place, so that only the last ``keep`` are left.

    Convolutions get stride 1 and a padding that keeps the size; pooling layers, which are there for their stride, are
    taken out. With ``keep=3`` a 32 x 32 image arrives as 4 x 4 at the head. Do it before initialising.

    Args:
        network: a classifier for images of 224 x 224.
        keep: number of halvings to keep.
        name: the network's name, for messages.

    Raises:
        UserError: the network has fewer downsamplings, or one module does several of which only some should go; or it
            doesn't run on such an image.
    """
    try:
        found = strided_modules(network)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"downsamplings={keep}: {name} doesn't run on an image of 224 x 224: {one_line(error)}"
        ) from error
    total = max((strided.after for strided in found), default=0)
    if not 0 <= keep <= total:
        raise UserError(f"downsamplings={keep}: {name} has {total} by strided convolution or pooling")
    drop = total - keep
    for strided in found:
        if strided.before >= drop:
            continue
        if strided.after > drop:
            raise UserError(
                f"downsamplings={keep}: {strided.path} of {name} does {strided.after - strided.before} at once; "
                f"keep {total - strided.after} or {total - strided.before}"
            )
        _remove_stride(network, strided.path)
    try:
        left = max((strided.after for strided in strided_modules(network)), default=0)
    except RuntimeError as error:  # shapes that no longer fit, where a forward has its own idea of them
        raise UserError(f"downsamplings={keep}: {name} doesn't run without its first {drop}") from error
    if left != keep:
        raise UserError(f"downsamplings={keep}: {name} still has {left} without the strides of its first {drop}")


def _stride(module: nn.Module) -> int:
    stride: int | tuple[int, ...] = module.stride  # type: ignore[assignment]
    return stride if isinstance(stride, int) else max(stride)


def _remove_stride(network: nn.Module, path: str) -> None:
    module = network.get_submodule(path)
    if isinstance(module, _ConvNd):
        module.stride = (1,) * len(module.stride)
        spans = [dilation * (kernel - 1) for dilation, kernel in zip(module.dilation, module.kernel_size, strict=True)]
        module.padding = "same" if any(span % 2 for span in spans) else tuple(span // 2 for span in spans)
    else:
        parent, _, child = path.rpartition(".")
        network.get_submodule(parent).register_module(child, nn.Identity())
