"""Classifiers by name: torchvision's, timm's, small residual networks for 32 x 32 images, and a class of the user's own."""

import inspect
from typing import Any

import timm
import torchvision
from torch import nn

from lpflu_bench.errors import UserError, one_line
from lpflu_bench.networks.cifar_resnet import CIFAR_RESNETS, CifarResNet
from lpflu_bench.networks.strides import keep_last_downsamplings
from lpflu_bench.text import nearest
from lpflu_bench.user_code import class_and_arguments, import_object, is_import_path, object_name

NetworkSpec = str | dict[str, Any]
"""A name, or a class (``my_net.py:Net``, ``package.module.Net``); or ``class_path`` (either of these) and ``init_args``."""

TIMM = "timm/"
_EXTRA_ARGUMENTS = {
    # One output, and no initialisation that takes minutes: `initialize` follows.
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}


def list_classifiers() -> list[str]:
    """Return the names that :func:`build_classifier` knows."""
    ours = [*CIFAR_RESNETS, *torchvision.models.list_models(module=torchvision.models)]
    return [*sorted(ours), *(TIMM + name for name in timm.list_models())]


def classifier_name(spec: NetworkSpec) -> str:
    """Return the network's name in records and tables: for a class path, the name of the class."""
    name = spec if isinstance(spec, str) else str(spec.get("class_path"))
    return object_name(name) if _is_class(name) else name


def check_classifier(spec: NetworkSpec) -> None:
    """Check the name without building anything; a class of the user's own is imported.

    Raises:
        UserError: neither library knows it, a mapping has other keys, or a class can't be imported or is none.
    """
    name, _ = _name_and_arguments(spec)
    if _is_class(name):
        _network_class(name)


def _name_and_arguments(spec: NetworkSpec) -> tuple[str, dict[str, Any]]:
    name, arguments = (spec, {}) if isinstance(spec, str) else class_and_arguments(spec, "model.network")
    name = str(name)
    if not _is_class(name) and name not in (known := list_classifiers()):
        also = (nearest(name, known) or nearest(TIMM + name, known)) if name.removeprefix(TIMM) else ""
        raise UserError(f"model.network: unknown network {name!r}{also}; `lpflu-bench networks` lists all")
    return name, arguments


def build_classifier(spec: NetworkSpec, num_classes: int, *, downsamplings: int | None = None) -> nn.Module:
    """Build an untrained classifier with its own activations; nothing is downloaded.

    Args:
        spec: a torchvision classifier (``regnet_y_800mf``), ``timm/`` and one of timm's (``timm/convnext_atto``),
            ``resnet8``, ``resnet20`` ... (:class:`CifarResNet`), or a class (``my_net.py:Net``), which gets ``num_classes``
            if its constructor takes it; or a mapping with one of these as ``class_path``, and ``init_args``.
        num_classes: number of outputs.
        downsamplings: keep only this many of the last spatial downsamplings (:func:`keep_last_downsamplings`): with 3, a
            32 x 32 image reaches the head as 4 x 4. None keeps all.

    Returns:
        A module from images [B, 3, H, W] to logits [B, num_classes].

    Raises:
        UserError: unknown name, ``num_classes`` below 1, downsamplings that the network can't have, or a class that is
            no ``nn.Module``, doesn't take the arguments, or whose ``forward`` takes other inputs than one batch.
    """
    if num_classes < 1:
        raise UserError(f"num_classes must be at least 1, not {num_classes}")
    name, arguments = _name_and_arguments(spec)
    if "num_classes" in arguments:
        raise UserError("model.network: leave num_classes out of init_args; it is --model.num_classes")
    if pretrained := sorted({"pretrained", "weights", "weights_backbone"} & set(arguments)):
        raise UserError(
            f"model.network: leave {pretrained[0]} out of init_args; --model.init_from loads trained weights"
        )
    try:
        network = (_own_class if _is_class(name) else _named)(name, num_classes, arguments)
    except UserError:
        raise
    except Exception as error:
        if not arguments:
            raise
        raise UserError(f"model.network: {name} doesn't take these init_args: {one_line(error)}") from error
    if downsamplings is not None:
        keep_last_downsamplings(network, downsamplings, name)
    return network


def _is_class(name: str) -> bool:
    return not name.startswith(TIMM) and is_import_path(name)


def _named(name: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    arguments = _EXTRA_ARGUMENTS.get(name, {}) | arguments
    if name in CIFAR_RESNETS:
        return CifarResNet(CIFAR_RESNETS[name], num_classes, **arguments)
    if name.startswith(TIMM):
        return timm.create_model(name.removeprefix(TIMM), num_classes=num_classes, **arguments)
    network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **arguments)
    return network


def _network_class(path: str) -> type[nn.Module]:
    try:
        network_class = import_object(path)
    except UserError as error:
        raise UserError(f"model.network: {error}") from error
    if not (isinstance(network_class, type) and issubclass(network_class, nn.Module)):
        raise UserError(f"model.network: {path} is not an nn.Module class")
    return network_class


def _own_class(path: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    network_class = _network_class(path)
    signature = inspect.signature(network_class)
    takes_anything = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    takes_anything &= network_class.__init__ is not nn.Module.__init__  # which refuses every keyword
    if "num_classes" in signature.parameters or takes_anything:
        arguments = {"num_classes": num_classes, **arguments}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UserError(f"model.network: {path} doesn't take these init_args: {error}") from None
    network: nn.Module = network_class(**arguments)
    forward = inspect.signature(network.forward)
    try:
        forward.bind("images")
    except TypeError:
        raise UserError(
            f"model.network: {path}'s forward takes {forward}, but a network here gets one batch of images and no more"
        ) from None
    return network
