"""Whether a network takes the data's images, found out before training."""

import torch
from torch import nn

from lpflu_bench.activations.swap.inputs import Inputs
from lpflu_bench.activations.swap.run import run_without_trace
from lpflu_bench.errors import UserError, one_line


def check_image_size(network: nn.Module, height: int, width: int) -> None:
    """Run a network on blank images [2, 3, height, width], and leave it as it was.

    It is run on the meta device, where nothing is computed; on the CPU only if that fails, for some operations have no
    meta implementation.

    Raises:
        UserError: the network refuses them: a vision transformer is built for one size, a U-Net for multiples of 32.
    """
    for meta in (True, False):
        images = torch.empty(2, 3, height, width, dtype=next(network.parameters()).dtype, device="meta")
        try:
            run_without_trace(network, Inputs((images,)).on("meta" if meta else "cpu"), meta=meta)
            return
        except (AssertionError, RuntimeError, ValueError) as error:
            refusal = error
    raise UserError(
        f"the network does not take images of {height} x {width} pixels, which the data has: {one_line(refusal)}; "
        "change the images' size (data) or the network (model.network)"
    ) from refusal
