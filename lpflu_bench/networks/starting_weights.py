"""Weights to start from, put into a network with another function, or for other classes."""

from collections.abc import Iterable

from torch import nn

from lpflu_bench.errors import UserError
from lpflu_bench.networks.weight_sources import read_weights

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
    try:
        loaded = read_weights(source)
    except UserError as error:
        raise UserError(f"model.init_from: {error}") from error
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
        prefix = next(iter(loaded)).partition(".")[0] + "."
        if unexpected and all(key.startswith(prefix) and key.removeprefix(prefix) in own for key in unexpected):
            problems = [f"its names begin with {prefix!r}, the network's do not; save it without"]
        else:
            problems.append("it must be of the same network, built with the same init_args")
        raise UserError(f"model.init_from: {source} does not fit the network: {'; '.join(problems)}")
    if broken := [key for key, value in state.items() if not value.isfinite().all()]:
        raise UserError(f"model.init_from: {source} has values in {broken[0]} that are not finite")
    network.load_state_dict({**own, **state})
    return anew


def _head(network: nn.Module) -> str:
    """Return the prefix of the last layer's entries."""
    layers = [path for path, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return f"{layers[-1]}." if layers else "-"
