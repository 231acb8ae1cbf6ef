"""Reading weights: from a checkpoint of this suite, a file with a state dict, or what torchvision and timm offer."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor
from torchvision.models import get_model_weights, get_weight, list_models

from lpflu_bench.errors import UserError, one_line
from lpflu_bench.text import nearest

TIMM, TORCHVISION = "timm/", "torchvision/"
NETWORK = "network."
"""What the network's entries begin with in a checkpoint of this suite."""


def read_weights(source: str) -> dict[str, Tensor]:
    """Return the state dict that a file holds or a library offers; see :func:`load_starting_weights`.

    Raises:
        UserError: no such file or name, or it holds no state dict; says what it holds.
    """
    if source.startswith((TIMM, TORCHVISION)):
        return _published(source)
    path = Path(source)
    if not path.is_file():
        raise UserError(f"there is no file {source!r}; names begin with {TIMM} or {TORCHVISION}")
    content = _content(path)
    if path.suffix == ".ckpt":
        content = _entry(content, "state_dict")
        network = {key.removeprefix(NETWORK): content[key] for key in content or () if key.startswith(NETWORK)}
        if not network:
            raise UserError(
                f"{source} is no checkpoint of this suite (no entry begins with {NETWORK!r}); save the network's "
                "state_dict() alone, in a .pt or .safetensors file"
            )
        return network
    state = content if _is_state(content) else _entry(content, "state_dict")
    if _is_state(state):
        return state  # type: ignore[no-any-return]
    inner = [key for key in content if _is_state(content[key])] if isinstance(content, Mapping) else []
    raise UserError(
        f"{source} holds no state dict (names with tensors)"
        + (f", but its entry {inner[0]!r} is one: save that alone" if inner else "; save network.state_dict() in it")
    )


def _is_state(content: Any) -> bool:
    return isinstance(content, Mapping) and bool(content) and all(isinstance(v, Tensor) for v in content.values())


def _entry(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, Mapping) else None


def _content(path: Path) -> Any:
    """Return what a file holds, without running any code of it."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of the file's format, by many names
        if path.suffix == ".safetensors" or path.read_bytes()[:2] == b"PK":  # as torch.save's files begin
            reason = f"it is truncated or not in the format of its name ({one_line(error, 80)})"
        else:
            reason = "it is no file of torch.save; files of safetensors are named .safetensors"
        if zipfile.is_zipfile(path):
            reason = "it holds other objects than tensors, and would run their code; save network.state_dict() instead"
        raise UserError(f"{path} can't be read as weights: {reason}") from error


def _published(source: str) -> dict[str, Tensor]:
    """Return weights that a library downloads, or finds in its cache."""
    library, _, name = source.partition("/")
    if source.startswith(TIMM):
        if not timm.is_model_pretrained(name):
            raise UserError(f"timm has no pretrained weights {name!r}{nearest(name, timm.list_pretrained())}")
    else:
        enums = [get_model_weights(model) for model in list_models()]
        known = {f"{weights.__name__}.{choice}" for weights in enums for choice in weights.__members__}
        if name not in known:
            raise UserError(f"{library} has no weights {name!r}{nearest(name, known)}")
    try:
        if source.startswith(TIMM):
            return timm.create_model(name, pretrained=True).state_dict()
        state: dict[str, Tensor] = get_weight(name).get_state_dict(progress=True)
        return state
    except Exception as error:  # of the network or the hub, by many names
        reason = one_line(error, 200) or type(error).__name__
        raise UserError(f"{source} couldn't be downloaded: {reason}") from error
