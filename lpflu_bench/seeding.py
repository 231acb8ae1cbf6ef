"""Seeds derived from counters, so that a resumed run draws what the uninterrupted one would have drawn."""

import hashlib
import os


def derive_seed(seed: int, *keys: int | str) -> int:
    """Return a seed in [0, 2**63) that is a pure function of ``seed`` and the keys (a purpose, an epoch, a step, ...).

    Nothing has to be stored or restored: whoever knows the counters knows the draw. Equal on every rank unless the
    rank is one of the keys.
    """
    text = ":".join(str(part) for part in (seed, *keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def run_seed() -> int:
    """Return the seed of this run: the one given to ``--seed_everything``, else the one torch's generator started with."""
    if (text := os.environ.get("PL_GLOBAL_SEED")) is not None:
        return int(text)
    import torch

    return torch.initial_seed()
