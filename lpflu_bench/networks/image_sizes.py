"""Which images a network takes, found without computing anything."""

from torch import nn

from lpflu_bench.activations.swap.inputs import image, likely_sides
from lpflu_bench.activations.swap.run import run_without_trace


def size_taken_instead(network: nn.Module, height: int, width: int) -> int | None:
    """Return a side of square images that ``network`` takes; None if it takes ``height`` x ``width``, or none that is tried."""
    if _takes(network, height, width):
        return None
    return next((side for side in likely_sides(network) if _takes(network, side, side)), None)


def _takes(network: nn.Module, height: int, width: int) -> bool:
    try:
        run_without_trace(network, image(height, width))
    except Exception:
        return False
    return True
