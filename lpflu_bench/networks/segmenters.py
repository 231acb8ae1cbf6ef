"""Segmentation networks of segmentation_models_pytorch (smp), untrained, with any of its encoders."""

import segmentation_models_pytorch as smp
import timm
from torch import nn

from lpflu_bench.errors import UserError
from lpflu_bench.text import nearest


def list_architectures() -> list[str]:
    """Return smp's architectures."""
    return sorted(smp.MODEL_ARCHITECTURES_MAPPING)


def list_encoders() -> list[str]:
    """Return smp's encoders; besides, ``tu-NAME`` is timm's NAME."""
    return sorted(smp.encoders.get_encoder_names())


def build_segmenter(num_classes: int, *, architecture: str = "unet", encoder_name: str = "vgg13_bn") -> nn.Module:
    """Build a segmentation network with its own activations and none at the output; nothing is downloaded.

    The original U-Net (Ronneberger et al. 2015) has plain 3 x 3 convolutions, two at each resolution, and max pooling.
    smp's ``vgg13_bn`` is the encoder that is just that, with batch norm (which the paper's initialisation implies); at
    the deeper resolutions ``vgg16_bn`` has three, at the first two ``vgg11_bn`` has one. It has no residual blocks, so
    by the paper's rule every slope of LPFLU is a fixed one there; ``resnet34`` is the preset with a residual encoder.

    Args:
        num_classes: number of output channels.
        architecture: one of smp's: ``unet``, ``fpn``, ``deeplabv3plus``, ``segformer``, ...
        encoder_name: one of smp's encoders (``resnet34``), or ``tu-<name>`` for one of timm's.

    Returns:
        A module from images [B, 3, H, W] to logits [B, num_classes, H, W]. smp takes sides that aren't multiples of 32
        too, resizing unevenly between the scales; choose multiples.

    Raises:
        UserError: unknown architecture or encoder, two that don't fit together, or ``num_classes`` below 1.
    """
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    if architecture not in (known := list_architectures()):
        raise UserError(
            f"model.architecture: unknown architecture {architecture!r}{nearest(architecture, known)}; "
            "`lpflu-bench networks` lists all"
        )
    if encoder_name.startswith("tu-"):
        if not timm.is_model(encoder_name.removeprefix("tu-")):
            raise UserError(f"model.encoder_name: unknown encoder {encoder_name!r}: timm has no such network")
    elif encoder_name not in (known := list_encoders()):
        raise UserError(
            f"model.encoder_name: unknown encoder {encoder_name!r}{nearest(encoder_name, known)}; "
            "`lpflu-bench networks` lists all"
        )
    try:
        network: nn.Module = smp.create_model(architecture, encoder_name, encoder_weights=None, classes=num_classes)
    except (ValueError, KeyError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"model.encoder_name: {architecture} can't be built on {encoder_name}: {reason}") from error
    return network
