"""Pictures of functions and their first derivatives."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from lpflu_bench.activations.registry import create_activation
from lpflu_bench.errors import UserError

PRESETS = {
    "fig1": ("lpflu", "leaky_relu"),
    "fig2": ("lpflu", "leaky_relu", "pflu", "relu"),
    "paper": ("relu", "mish", "pflu", "smu", "gish", "lpflu"),
}
"""Named selections: the paper's Figs. 1 and 2 draw its function against Leaky ReLU; ``paper`` are the six it compares."""

_REACH = 4.0


def curve(name: str, reach: float = _REACH) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, f(x) and f'(x) of a function in evaluation mode, float64 [801], over [-reach, reach]."""
    x = (torch.arange(-400, 401, dtype=torch.float64) * (reach / 400)).requires_grad_()
    y = create_activation(name).double().eval()(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    return x.detach(), y.detach(), slope


def draw(names: Sequence[str], file: Path) -> None:
    """Draw functions (left) and derivatives (right) into a PNG, SVG or PDF file.

    Args:
        names: registry names, or one name of :data:`PRESETS`.
        file: its ending decides the format; its folder is made.

    Raises:
        UserError: the file name's extension is not an image format, or the file cannot be written.
        UnknownActivationError: no such function.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    chosen = [name for given in names for name in PRESETS.get(given, (given,))]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    styles = ["-", "--", "-.", ":"]
    for number, name in enumerate(chosen):
        x, y, slope = curve(name)
        style = {"linestyle": styles[number // 10 % 4], "linewidth": 2.4 if "lpflu" in name else 1.5}
        style["zorder"] = 3 if "lpflu" in name else 2
        axes[0].plot(x, y, label=name, **style)
        axes[1].plot(x, slope, **style)
    for axis, title in zip(axes, ("f(x)", "f′(x)"), strict=True):
        axis.set_title(title)
        axis.set_xlabel("x")
        axis.axhline(0, color="0.75", linewidth=0.8, zorder=1)
        axis.axvline(0, color="0.75", linewidth=0.8, zorder=1)
        axis.set_xlim(-_REACH, _REACH)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(-1.2, 3.2)
    figure.legend(loc="outside right center", frameon=False, ncols=1 + (len(chosen) - 1) // 16)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=150)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write the picture {file}: {str(error).splitlines()[0]}") from error
    finally:
        plt.close(figure)
