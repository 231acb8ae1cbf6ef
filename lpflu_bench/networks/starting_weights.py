"""Weights to start from: a checkpoint of this suite, a file of weights, or what torchvision and timm offer."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from lpflu_bench.errors import UserError

TIMM, TORCHVISION = "timm/", "torchvision/"
_SHOWN = 5


def load_starting_weights(network: nn.Module, source: str, activation_paths: Iterable[str] = ()) -> list[str]:
    """Load weights into ``network``, in place, in whatever function they were trained with.

    Entries of activation functions are taken where they fit and otherwise left at their start. The last layer (of a
    classifier for other classes) is newly initialized if it has another shape. Everything else must be there and fit.

    Args:
        network: a network, before or after the swap.
        source: a checkpoint of this suite (``.ckpt``); a state dict in a ``.safetensors``, ``.pt`` or ``.pth`` file (read
            with ``weights_only``); ``torchvision/ResNet18_Weights.IMAGENET1K_V1`` or ``timm/resnet18.a1_in1k``, which
            their libraries download.
        activation_paths: paths of the activation functions that were put in.

    Returns:
        The entries that are newly initialized.

    Raises:
        UserError: no such file or name, no network, or entries that don't fit.
    """
    loaded = _read(source)
    own = network.state_dict()
    prefixes = tuple(f"{path}." for path in activation_paths)
    head = _head(network)
    state = {key: value for key, value in loaded.items() if key in own or not key.startswith(prefixes)}
    anew = [key for key in state if key in own and key.startswith(head) and state[key].shape != own[key].shape]
    for key in anew:
        del state[key]
    missing = [key for key in own if key not in state and key not in anew and not key.startswith(prefixes)]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key} is {list(state[key].shape)}, the network's {list(own[key].shape)}"
        for key in state
        if key in own and state[key].shape != own[key].shape
    ]
    problems = [
        f"{what}: {', '.join(keys[:_SHOWN])}{f' and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else ''}"
        for what, keys in (("missing", missing), ("not in the network", unexpected), ("of another shape", shapes))
        if keys
    ]
    if problems:
        raise UserError(f"model.init_from: {source} does not fit the network: {'; '.join(problems)}")
    network.load_state_dict({**own, **state})
    return anew


def _head(network: nn.Module) -> str:
    """Return the prefix of the last layer's entries."""
    layers = [path for path, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return f"{layers[-1]}." if layers else "-"


def _read(source: str) -> dict[str, Tensor]:
    path = Path(source)
    if source.startswith((TIMM, TORCHVISION)):
        return _published(source)
    if not path.is_file():
        raise UserError(f"model.init_from: there is no file {source}; names begin with {TIMM} or {TORCHVISION}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"model.init_from: {source} can't be read as weights: {str(error).splitlines()[0]}") from error
    if path.suffix == ".ckpt":
        prefix = "network."
        content = {
            key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)
        }
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"model.init_from: {source} holds no state dict (names with tensors)")
    return content


def _published(source: str) -> dict[str, Tensor]:
    """Return weights that a library downloads, or finds in its cache."""
    try:
        if source.startswith(TIMM):
            name = source.removeprefix(TIMM)
            if not timm.is_model_pretrained(name):
                raise UserError(f"model.init_from: timm has no pretrained weights {name!r}")
            return timm.create_model(name, pretrained=True).state_dict()
        from torchvision.models import get_weight

        try:
            weights = get_weight(source.removeprefix(TORCHVISION))
        except (KeyError, ValueError) as error:
            raise UserError(f"model.init_from: torchvision has no weights {error}") from None
        state: dict[str, Tensor] = weights.get_state_dict(progress=True)
        return state
    except UserError:
        raise
    except Exception as error:  # of the network or the hub, by many names
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"model.init_from: {source} couldn't be downloaded: {reason or type(error).__name__}"
        ) from error
