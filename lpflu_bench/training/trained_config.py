"""What a checkpoint was trained as, and whether a command says the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lpflu_bench.callbacks.checkpoint import LAST
from lpflu_bench.errors import UserError
from lpflu_bench.identity import contradictions

CHECKPOINTS = "checkpoints"


def find_checkpoint(run: str | Path) -> Path:
    """Return the checkpoint of a run's folder; a file is returned as it is.

    Raises:
        UserError: the folder does not exist or has none.
    """
    path = Path(run)
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"there is no run folder {path}; `lpflu-bench fit` leaves one, runs/TASK/ACTIVATION-seedSEED")
    if not (checkpoint := path / CHECKPOINTS / LAST).is_file():
        raise UserError(f"{path} has no {CHECKPOINTS}/{LAST}: nothing was trained there, or its checkpoint was deleted")
    return checkpoint


def trained_config(checkpoint: str | Path) -> dict[str, Any]:
    """Return the whole configuration that a checkpoint was trained with, machine settings included.

    Raises:
        UserError: the file is missing, no checkpoint, or not one of this suite.
    """
    path = Path(checkpoint)
    if not path.is_file():
        raise UserError(f"--ckpt_path {path}: no such file; `fit` leaves its checkpoint in RUN/{CHECKPOINTS}/{LAST}")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises half a dozen kinds for a file it cannot or will not read
        line = str(error).strip().splitlines()[0]
        raise UserError(f"--ckpt_path {path}: cannot be loaded as plain weights ({line})") from error
    for state in loaded.get("callbacks", {}).values() if isinstance(loaded, dict) else ():
        if isinstance(state, dict) and "trained" in state and "config" in state:
            config: dict[str, Any] = state["config"]
            return config
    raise UserError(f"--ckpt_path {path}: not a checkpoint written by `lpflu-bench fit`")


def refuse_contradiction(command: str, config: Mapping[str, Any], trained: Mapping[str, Any], checkpoint: str) -> None:
    """Refuse a checkpoint that was trained as something else than this command says.

    For ``fit``, which resumes the training, everything but its length has to agree; the others may say how and under
    which conditions they test.

    Raises:
        UserError: names the keys, both values and what to pass.
    """
    if found := contradictions(config, trained, resuming=command == "fit"):
        listed = "; ".join(f"{key} is {ours!r} here, {theirs!r} in the checkpoint" for key, ours, theirs in found[:4])
        more = f" and {len(found) - 4} more keys" if len(found) > 4 else ""
        key, _, theirs = found[0]
        instead = "name the run's folder alone" if command != "fit" else f"pass --{key} {theirs}"
        raise UserError(f"--ckpt_path {checkpoint} contradicts this command: {listed}{more}; {instead}")
