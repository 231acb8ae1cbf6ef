"""Which images a network takes, found out before it is trained or tested."""

import torch
from torch import nn

from lpflu_bench.activations.swap.inputs import Inputs, likely_sides
from lpflu_bench.activations.swap.run import run_without_trace
from lpflu_bench.errors import UserError, one_line


def check_image_size(network: nn.Module, height: int, width: int) -> None:
    """Run a network on blank images [2, 3, height, width], and leave it as it was.

    Raises:
        UserError: the network refuses them: a vision transformer is built for one size, a U-Net for multiples of 32. The
            message names a size that it takes, if one of the usual ones does.
    """
    refusal = _refusal(network, height, width)
    if refusal is None:
        return
    side = next((side for side in likely_sides(network) if _refusal(network, side, side) is None), None)
    instead = f"it takes {side} x {side}, for example; " if side else ""
    raise UserError(
        f"model.network does not take images of {height} x {width} pixels, which the data has: {one_line(refusal)}; "
        f"{instead}resize the images, or build the network for them by model.network.init_args (img_size in timm, "
        "image_size in torchvision)"
    ) from refusal


def _refusal(network: nn.Module, height: int, width: int) -> Exception | None:
    """Return what a network raises about images of a size; None if it takes them.

    It is run on the meta device, where nothing is computed; on the CPU only if that fails, for some operations have no
    meta implementation.
    """
    refusal: Exception | None = None
    for meta in (True, False):
        images = torch.empty(2, 3, height, width, dtype=next(network.parameters()).dtype, device="meta")
        try:
            run_without_trace(network, Inputs((images,)).on("meta" if meta else "cpu"), meta=meta)
            return None
        except (AssertionError, RuntimeError, ValueError) as error:
            refusal = error
    return refusal
