"""Segmentation networks, untrained: the original U-Net, and those of segmentation_models_pytorch (smp)."""

import segmentation_models_pytorch as smp
import timm
from torch import nn

from lpflu_bench.errors import UserError
from lpflu_bench.networks.unet import UNet
from lpflu_bench.text import nearest

ORIGINAL_UNET = "original_unet"
"""The architecture that is not smp's."""
_DEFAULT_ENCODER = "vgg13_bn"


def list_architectures() -> list[str]:
    """Return the original U-Net and smp's architectures."""
    return [ORIGINAL_UNET, *sorted(smp.MODEL_ARCHITECTURES_MAPPING)]


def segmenter_name(architecture: str, encoder_name: str | None, batch_norm: bool) -> str:
    """Return a network's name in records and tables."""
    if architecture == ORIGINAL_UNET:
        return ORIGINAL_UNET if batch_norm else f"{ORIGINAL_UNET} without batch norm"
    return f"{architecture}-{encoder_name or _DEFAULT_ENCODER}"


def list_encoders() -> list[str]:
    """Return smp's encoders; besides, ``tu-NAME`` is timm's NAME."""
    return sorted(smp.encoders.get_encoder_names())


def build_segmenter(
    num_classes: int, *, architecture: str = "unet", encoder_name: str | None = None, batch_norm: bool = True
) -> nn.Module:
    """Build a segmentation network with its own activations and none at the output; nothing is downloaded.

    ``original_unet`` is the network of Ronneberger et al. (2015). smp's ``unet`` has no skip at the full resolution, five
    poolings instead of four, and an encoder of another network: ``vgg13_bn`` is the nearest to the original's, with two plain
    3 x 3 convolutions at each resolution. Neither has residual blocks, so by the paper's rule every slope of LPFLU is a
    fixed one there; ``resnet34`` is a residual encoder.

    Args:
        num_classes: number of output channels.
        architecture: ``original_unet``, or one of smp's: ``unet``, ``fpn``, ``deeplabv3plus``, ``segformer``, ...
        encoder_name: of smp's architectures: one of its encoders (``resnet34``), or ``tu-<name>`` for one of timm's; null:
            ``vgg13_bn``.
        batch_norm: of the original U-Net, which had none.

    Returns:
        A module from images [B, 3, H, W] to logits [B, num_classes, H, W]. smp takes sides that aren't multiples of 32
        too, resizing unevenly between the scales; choose multiples.

    Raises:
        UserError: unknown architecture or encoder, settings that don't fit together, or ``num_classes`` below 1.
    """
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    if architecture not in (known := list_architectures()):
        raise UserError(
            f"model.architecture: unknown architecture {architecture!r}{nearest(architecture, known)}; "
            "`lpflu-bench networks` lists all"
        )
    if architecture == ORIGINAL_UNET:
        if encoder_name is not None:
            raise UserError(
                f"model.encoder_name: {ORIGINAL_UNET} has an encoder of its own, not {encoder_name}; leave it out"
            )
        return UNet(num_classes, batch_norm)
    if not batch_norm:
        raise UserError(f"model.batch_norm: only {ORIGINAL_UNET} can be built without, not {architecture}")
    encoder_name = encoder_name or _DEFAULT_ENCODER
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
