"""Does an activation function help, and what does it cost? A benchmark suite, and the library of its functions.

The public names are imported when they are first used: importing this package does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpflu_bench.activations.blend import blend as blend
    from lpflu_bench.activations.leaky import LPFLU as LPFLU
    from lpflu_bench.activations.leaky import Leaky as Leaky
    from lpflu_bench.activations.leaky import advance_slopes as advance_slopes
    from lpflu_bench.activations.nonlinearities import register_nonlinearity as register_nonlinearity
    from lpflu_bench.activations.registry import create_activation as create_activation
    from lpflu_bench.activations.registry import list_activations as list_activations
    from lpflu_bench.activations.registry import register_activation as register_activation
    from lpflu_bench.activations.replace import replace_activations as replace_activations
    from lpflu_bench.activations.replace import verify_swap as verify_swap
    from lpflu_bench.activations.timm import register_with_timm as register_with_timm
    from lpflu_bench.callbacks.slope_ema import SlopeEMA as SlopeEMA
    from lpflu_bench.judging.judge import judge as judge

__version__ = "0.2.0"

_LAZY_EXPORTS = {
    "LPFLU": "activations.leaky",
    "Leaky": "activations.leaky",
    "SlopeEMA": "callbacks.slope_ema",
    "advance_slopes": "activations.leaky",
    "blend": "activations.blend",
    "create_activation": "activations.registry",
    "judge": "judging.judge",
    "list_activations": "activations.registry",
    "register_activation": "activations.registry",
    "register_nonlinearity": "activations.nonlinearities",
    "register_with_timm": "activations.timm",
    "replace_activations": "activations.replace",
    "verify_swap": "activations.replace",
}

__all__ = [*sorted(_LAZY_EXPORTS), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY_EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_EXPORTS})
