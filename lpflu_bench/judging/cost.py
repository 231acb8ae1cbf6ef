"""What a function costs beside others: by itself, and in a network's training step."""

from collections.abc import Sequence
from typing import Any

from lpflu_bench.speed.network import measure_network
from lpflu_bench.speed.pointwise import measure

SHAPE = (16, 64, 32, 32)
MODES = ("eager", "compiled")
NETWORK, BATCH_SIZE = "resnet8", 64
_REPEATS, _STEPS = 9, 5


def measure_alone(names: dict[str, str]) -> list[dict[str, Any]]:
    """Time functions by themselves, forward and with backward, composed and compiled, in turns.

    Args:
        names: what each is called -> what builds it.

    Returns:
        For each function and mode: ``function``, ``mode``, ``forward`` and ``forward+backward`` (time over ReLU's in the
        same rounds) and ``kept`` (for backward, in sizes of the input).
    """
    frame = measure(list(names.values()), modes=MODES, shape=SHAPE, repeats=_REPEATS)
    called = {spec: name for name, spec in names.items()}
    rows = []
    for (spec, mode), part in frame[frame["function"].isin(list(called))].groupby(["function", "mode"], sort=False):
        ratios = part.set_index("pass")["ratio_to_relu"]
        kept = part.iloc[0]
        rows.append(
            {
                "function": called[str(spec)],
                "mode": str(mode),
                **{name: float(ratios[name]) for name in ("forward", "forward+backward")},
                "kept": float(kept["kept_bytes"] / kept["input_bytes"]),
            }
        )
    return rows


def measure_in_network(names: dict[str, str], mode: str) -> list[dict[str, Any]]:
    """Time training steps of a small network with each function, in turns.

    Args:
        names: what each is called -> what builds it.
        mode: ``fused``, as networks run by default, or ``compiled``.

    Returns:
        For each function ``function``, ``mode``, ``images_per_second``, ``ratio`` (a step's time over ReLU's in the same
        mode) and ``peak_mb``.
    """
    specs = list(names.values())
    frame = measure_network(NETWORK, specs, modes=(mode,), batch_size=BATCH_SIZE, repeats=_STEPS)
    called = {spec: name for name, spec in names.items()}
    return [
        {
            "function": called[row["function"]],
            "mode": mode,
            "images_per_second": float(row["images_per_second"]),
            "ratio": float(row["ratio_to_relu"]),
            "peak_mb": row["peak_bytes"] / 1e6,
        }
        for row in frame.to_dict("records")
        if row["function"] in called
    ]


def cost_text(name: str, alone: Sequence[dict[str, Any]], in_network: Sequence[dict[str, Any]]) -> str:
    """Return a function's cost in a few words."""
    parts = [f"{row['forward+backward']:.2f} x ReLU {row['mode']}" for row in alone if row["function"] == name]
    steps = [row for row in in_network if row["function"] == name]
    parts += [
        f"a training step {'compiled ' * (row['mode'] == 'compiled')}{row['ratio']:.2f} x ReLU's" for row in steps
    ]
    return ", ".join(parts)
