"""What a checkpoint was trained as, and whether a command says the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lpflu_bench.errors import UserError
from lpflu_bench.records import identity

# These change how a network is run, not what it is: a checkpoint may be tested under other ones.
_EXECUTION_KEYS = {"optimizer", "schedule", "compile", "channels_last", "per_class"}


def trained_config(checkpoint: str | Path) -> dict[str, Any]:
    """Return the configuration a checkpoint was trained with.

    Raises:
        UserError: the file is missing, no checkpoint, or not one of this suite.
    """
    path = Path(checkpoint)
    if not path.is_file():
        raise UserError(f"--ckpt_path {path}: no such file; `fit` leaves its checkpoint in RUN/checkpoints/last.ckpt")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises half a dozen kinds for a file it cannot or will not read
        line = str(error).strip().splitlines()[0]
        raise UserError(f"--ckpt_path {path}: cannot be loaded as plain weights ({line})") from error
    for state in loaded.get("callbacks", {}).values() if isinstance(loaded, dict) else ():
        if isinstance(state, dict) and "train_epochs" in state and "config" in state:
            config: dict[str, Any] = state["config"]
            return config
    raise UserError(f"--ckpt_path {path}: not a checkpoint written by `lpflu-bench fit`")


def _differences(a: Any, b: Any, prefix: str) -> list[tuple[str, Any, Any]]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return [
            difference
            for key in {**a, **b}
            for difference in _differences(a.get(key), b.get(key), f"{prefix}.{key}" if prefix else str(key))
        ]
    return [] if a == b else [(prefix.replace(".init_args.", "."), a, b)]


def refuse_contradiction(command: str, config: Mapping[str, Any], trained: Mapping[str, Any], checkpoint: str) -> None:
    """Refuse a checkpoint that was trained as something else than this command says.

    For ``fit`` (going on) everything but the number of epochs has to agree; for the others the network, its activation
    and the seed.

    Raises:
        UserError: names the keys, both values and what to pass.
    """
    asked: dict[str, Any] = identity(config)
    trained = dict(trained)
    sections = ("model", "seed_everything") + (("data", "trainer", "weight_ema") if command == "fit" else ())
    differences = []
    for section in sections:
        ours, theirs = asked.get(section), trained.get(section)
        if section == "trainer":
            ours = {k: v for k, v in (ours or {}).items() if k not in ("max_epochs", "max_time")}
            theirs = {k: v for k, v in (theirs or {}).items() if k not in ("max_epochs", "max_time")}
        differences += _differences(ours, theirs, section)
    if command != "fit":
        differences = [d for d in differences if not any(part in _EXECUTION_KEYS for part in d[0].split("."))]
    if differences:
        listed = "; ".join(
            f"{key} is {ours!r} here, {theirs!r} in the checkpoint" for key, ours, theirs in differences[:4]
        )
        more = f" and {len(differences) - 4} more keys" if len(differences) > 4 else ""
        key, _, theirs = differences[0]
        raise UserError(
            f"--ckpt_path {checkpoint} contradicts this command: {listed}{more}; pass --{key} {theirs} or another checkpoint"
        )
