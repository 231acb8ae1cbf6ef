"""Classifiers by name: torchvision's, and the small residual networks for 32 x 32 images."""

import torchvision
from torch import nn

from lpflu_bench.errors import UserError
from lpflu_bench.networks.cifar_resnet import CIFAR_RESNETS, CifarResNet
from lpflu_bench.networks.strides import keep_last_downsamplings
from lpflu_bench.text import nearest

_EXTRA_ARGUMENTS = {
    # One output, and no initialisation that takes minutes: `initialize` follows.
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}


def list_classifiers() -> list[str]:
    """Return the names that :func:`build_classifier` knows."""
    return sorted([*CIFAR_RESNETS, *torchvision.models.list_models(module=torchvision.models)])


def build_classifier(name: str, num_classes: int, *, downsamplings: int | None = None) -> nn.Module:
    """Build an untrained classifier with its own activations; nothing is downloaded.

    Args:
        name: a torchvision classifier (``regnet_y_800mf``), or ``resnet8``, ``resnet20`` ... (:class:`CifarResNet`).
        num_classes: number of outputs.
        downsamplings: keep only so many of the last spatial downsamplings (:func:`keep_last_downsamplings`): with 3, a
            32 x 32 image reaches the head as 4 x 4. None keeps all.

    Returns:
        A module from images [B, 3, H, W] to logits [B, num_classes].

    Raises:
        UserError: unknown name, ``num_classes`` below 1, or downsamplings that the network can't have.
    """
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    if name not in (known := list_classifiers()):
        raise UserError(f"unknown network {name!r}{nearest(name, known)}; any torchvision classifier will do")
    if name in CIFAR_RESNETS:
        network: nn.Module = CifarResNet(CIFAR_RESNETS[name], num_classes)
    else:
        extra = _EXTRA_ARGUMENTS.get(name, {})
        network = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **extra)
    if downsamplings is not None:
        keep_last_downsamplings(network, downsamplings, name)
    return network
