"""What goes on inside the activation layers: dead units, saturation, slopes, gradients."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lpflu_bench.errors import UserError
from lpflu_bench.modules.base import BenchModule

FILE_NAME = "diagnostics.csv"
QUANTITIES = ("dead_units", "saturation", "mean_slope", "gradient_norm")
_FLAT = 1e-3


class _Layer:
    """What one activation layer showed in the sampled steps of an epoch."""

    def __init__(self, device: torch.device) -> None:
        # saturated elements, sum of slopes, elements, sum of gradient norms, their number
        self.sums = torch.zeros(5, dtype=torch.float64, device=device)
        self.alive: Tensor | None = None

    def update_slopes(self, slopes: Tensor) -> None:
        if slopes.numel() == 0:
            return
        other_axes = [axis for axis in range(slopes.dim()) if axis != 1] if slopes.dim() > 1 else []
        alive = (slopes > 0).sum(other_axes) > 0 if other_axes else slopes > 0
        self.alive = alive if self.alive is None or self.alive.shape != alive.shape else self.alive | alive
        self.sums[0] += (slopes.abs() < _FLAT).sum()
        self.sums[1] += slopes.double().sum()
        self.sums[2] += slopes.numel()

    def update_gradient(self, scale: float, gradient: Tensor) -> None:
        self.sums[3] += torch.linalg.vector_norm(gradient.float()) / scale
        self.sums[4] += 1


class Diagnostics(Callback):
    """Watches every activation layer in each N-th optimizer step of ``fit``; off by default.

    For each layer and epoch, over the sampled steps:

    - ``dead_units``: share of channels (dimension 1) whose slope f'(x) was never positive;
    - ``saturation``: share of elements with abs(f'(x)) < 0.001;
    - ``mean_slope``: mean of f'(x);
    - ``gradient_norm``: mean 2-norm of the loss's gradient with respect to the layer's output, a batch at a time.

    All ranks' samples count. The layers go into ``diagnostics.csv`` beside the metrics of ``fit``, one row per layer and
    epoch; the means over the layers in the last epoch go into the record. Training is not touched: slopes are computed on
    a detached copy of the layer's input, functions that draw are called with the generators put aside, and steps between
    the samples run without hooks.

    Args:
        every: sampling interval in optimizer steps; null turns the callback off.

    Raises:
        ValueError: ``every`` is below 1.
        UserError: the network is compiled, which leaves no layers to look into.
    """

    def __init__(self, every: int | None = None) -> None:
        if every is not None and every < 1:
            raise ValueError(f"diagnostics.every must be at least 1, or null for off; got {every}")
        self.every = every
        self._rows: list[dict[str, Any]] = []
        self._layers: dict[str, _Layer] = {}
        self._handles: list[RemovableHandle] = []

    @property
    def summary(self) -> dict[str, float] | None:
        """Means over the layers in the last epoch seen, None without one."""
        if not self._rows:
            return None
        last = [row for row in self._rows if row["epoch"] == self._rows[-1]["epoch"]]
        values = {name: [row[name] for row in last if row[name] is not None] for name in QUANTITIES}
        return {name: fmean(each) for name, each in values.items() if each}

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, for a resumed run's table."""
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._rows = state_dict["rows"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a network that cannot be looked into."""
        if self.every is not None and getattr(pl_module, "unhookable", False):
            raise UserError(
                "diagnostics.every: a compiled or captured network has no layers to look into; "
                "pass --model.compile false --model.cuda_graph false"
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last epoch."""
        assert isinstance(pl_module, BenchModule)
        if self.every is not None:
            self._layers = {place.path: _Layer(pl_module.device) for place in pl_module.placement.placements}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Watch this step if it is one of the sample."""
        if self.every is None or trainer.global_step % self.every:
            return
        assert isinstance(pl_module, BenchModule)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scale = float(scaler.get_scale()) if scaler is not None else 1.0
        for path, layer in self._layers.items():
            module = pl_module.network.get_submodule(path)
            self._handles.append(module.register_forward_pre_hook(partial(_before, layer)))
            self._handles.append(module.register_forward_hook(partial(_after, partial(layer.update_gradient, scale))))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the hooks away."""
        self._remove_hooks()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the hooks away."""
        self._remove_hooks()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the ranks' samples together and write the table."""
        if self.every is None:
            return
        for path, layer in self._layers.items():
            self._rows.append({"epoch": trainer.current_epoch + 1, "layer": path, **_quantities(trainer, layer)})
        if trainer.is_global_zero and trainer.log_dir is not None:
            folder = Path(trainer.log_dir)
            folder.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(self._rows).to_csv(folder / FILE_NAME, index=False)

    def _remove_hooks(self) -> None:
        while self._handles:
            self._handles.pop().remove()


def _before(layer: _Layer, module: nn.Module, args: tuple[Any, ...]) -> None:
    layer.update_slopes(_slopes(module, args[0].detach()))


def _after(see: Callable[[Tensor], None], module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
    if output.requires_grad:
        output.register_hook(see)  # type: ignore[no-untyped-call]


def _slopes(module: nn.Module, x: Tensor) -> Tensor:
    """f'(x) of a pointwise layer at each element, in float32. The layer's own hooks are not called."""
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
        copy = x.float().clone().requires_grad_()  # the layer may work in place: give it a copy of its own
        value = module.forward(copy * 1)
        (slopes,) = torch.autograd.grad(value.sum(), copy)
    return slopes


def _quantities(trainer: Trainer, layer: _Layer) -> dict[str, float | None]:
    sums = trainer.strategy.reduce(layer.sums, reduce_op="sum")
    flat, slope, elements, norm, calls = sums.tolist()
    alive = layer.alive
    dead = None
    if alive is not None:
        ranks_alive = trainer.strategy.reduce(alive.float(), reduce_op="sum")
        dead = float((ranks_alive == 0).float().mean())
    return {
        "dead_units": dead,
        "saturation": flat / elements if elements else None,
        "mean_slope": slope / elements if elements else None,
        "gradient_norm": norm / calls if calls else None,
    }
