"""U-Net of segmentation_models_pytorch (smp), untrained, with any of its encoders."""

import segmentation_models_pytorch as smp
import timm
from torch import nn

from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest


def build_unet(num_classes: int, *, encoder_name: str = "vgg13_bn") -> nn.Module:
    """Build a U-Net with its own activations and none at the output; nothing is downloaded.

    The original U-Net (Ronneberger et al. 2015) has plain 3 x 3 convolutions, two at each resolution, and max pooling.
    smp's ``vgg13_bn`` is the encoder that is just that, with batch norm (which the paper's initialisation implies); at
    the deeper resolutions ``vgg16_bn`` has three, at the first two ``vgg11_bn`` has one. It has no residual blocks, so
    by the paper's rule every slope of LPFLU is a fixed one there; ``resnet34`` is the preset with a residual encoder.

    Args:
        num_classes: number of output channels.
        encoder_name: one of smp's encoders (``resnet34``), or ``tu-<name>`` for one of timm's.

    Returns:
        A module from images [B, 3, H, W] to logits [B, num_classes, H, W]. smp takes sides that aren't multiples of 32
        too, resizing unevenly between the scales; choose multiples.

    Raises:
        UserError: unknown encoder, or ``num_classes`` below 1.
    """
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    known = smp.encoders.get_encoder_names()
    if encoder_name.startswith("tu-"):
        if not timm.is_model(encoder_name.removeprefix("tu-")):
            raise UserError(f"unknown encoder {encoder_name!r}: timm has no such network")
    elif encoder_name not in known:
        raise UserError(
            f"unknown encoder {encoder_name!r}{nearest(encoder_name, known)}; see segmentation_models_pytorch's encoders"
        )
    network: nn.Module = smp.Unet(encoder_name, encoder_weights=None, classes=num_classes, activation=None)
    return network
