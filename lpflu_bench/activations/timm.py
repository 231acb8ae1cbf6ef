"""The functions under timm's names: ``create_act_layer("lpflu")``, ``create_model(..., act_layer="lpflu")``."""

import functools
from typing import Any

from lpflu_bench.activations.catalogue import ENTRIES
from lpflu_bench.activations.registry import create_activation


def register_with_timm() -> list[str]:
    """Make every function that timm has none of available by its name, the leaky forms too.

    Returns:
        The names that timm has learned.

    >>> names = register_with_timm()
    >>> from timm.layers import create_act_layer
    >>> create_act_layer("lpflu", inplace=True).slope_mode
    'ema'
    """
    from timm.layers import create_act

    names = [*ENTRIES, *(f"leaky_{name}" for name, entry in ENTRIES.items() if entry.smooth_relu)]
    learned: list[str] = []
    layers: dict[str, Any] = create_act._ACT_LAYER_DEFAULT
    for name in names:
        if name not in layers:
            # A class, or what builds like one: timm looks a name up and calls it with inplace.
            layers[name] = functools.partial(create_activation, name)
            learned.append(name)
    return learned
