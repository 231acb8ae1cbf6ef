"""The smoothed Leaky ReLU of the LPFLU paper, Leaky(S)(x) = (1 - a) S(x) + a x, and the random form of its slope a.

The slope is state that a step sets and the forward only reads. So gradient accumulation, activation checkpointing,
torch.compile, several processes and a resumed run all see the slope they should; the callback ``SlopeEMA``, or
:func:`advance_slopes` in a plain loop, sets it once for each optimizer step.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Unpack, cast

import numpy as np
import torch
from torch import Tensor, nn

from lpflu_bench.activations.base import Activation, Options
from lpflu_bench.activations.formula import widened
from lpflu_bench.activations.registry import create_activation
from lpflu_bench.activations.torch_private import copy_each, lerp_each
from lpflu_bench.devices import send
from lpflu_bench.seeding import derive_seed

SLOPES = ("ema", "fixed", "trainable")


class Leaky(Activation):
    """Leaky(S): (1 - a) S(x) + a x, with a smooth ReLU-like function S and a slope a in one of three forms.

    - ``"ema"``: in training the slope of this step, drawn from U(lower, upper); in evaluation the exponential moving
      average of the drawn ones. Two 0-d float32 buffers, ``slope`` and ``slope_average``, both start at
      (lower + upper)/2. The forward doesn't change them: without the callback ``lpflu_bench.SlopeEMA`` or
      :func:`advance_slopes` this is a fixed slope of (lower + upper)/2.
    - ``"fixed"``: ``value``, always. A Python number, no state: it never changes, so torch.compile may build it in.
    - ``"trainable"``: ``slope`` is a float32 parameter [1] that starts at ``value``, unconstrained. The paper gives
      neither its initial value nor a constraint (UNCONFIRMED).

    With ema and trainable the slope is a tensor: a number would make torch.compile compile again at each change.

    Args:
        smooth: S: a registry name (``"pflu"``), an ``nn.Module`` class or instance, or a function of one tensor.
        slope: ``"ema"``, ``"fixed"`` or ``"trainable"``.
        value: The slope, or its initial value, in [0, 1); 0.01 as in the paper's figures (UNCONFIRMED for its
            networks). Unused by ema.
        lower: Smallest slope drawn, in [0, 1). Used by ema alone, as are the two following.
        upper: Largest slope drawn, in (lower, 1).
        new_sample_weight: Weight of the newest draw in the average, in (0, 1]. The paper's Eq. 11 puts its m on the old
            average: this is 1 - m, and the momentum of the authors' code.
        options: See :class:`~lpflu_bench.activations.base.Options`.

    Raises:
        ValueError: ``slope`` is unknown, or a number is out of its range.

    Limits: a x towards minus infinity, and what S does times 1 - a, plus a x, towards plus infinity.
    Source: Zhu et al., "Constructing a smoothed Leaky ReLU using a linear combination of the smoothed ReLU and identity
    function", Neural Computing and Applications, 2025, Eqs. 8-11.

    >>> Leaky("mish")(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3104,  0.0000,  0.8664])
    """

    slope: Tensor | float
    slope_average: Tensor

    def __init__(
        self,
        smooth: str | type[nn.Module] | nn.Module | Callable[[Tensor], Tensor],
        slope: Literal["ema", "fixed", "trainable"] = "ema",
        value: float = 0.01,
        lower: float = 0.0,
        upper: float = 0.02,
        new_sample_weight: float = 0.00125,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if slope not in SLOPES:
            raise ValueError(f"slope must be one of {', '.join(SLOPES)}, got {slope!r}")
        if not 0 <= value < 1:
            raise ValueError(f"value must be in [0, 1), got {value}")
        if not 0 <= lower < 1:
            raise ValueError(f"lower must be in [0, 1), got {lower}")
        if not lower < upper < 1:
            raise ValueError(f"upper must be in (lower, 1), got {upper} with lower {lower}")
        if not 0 < new_sample_weight <= 1:
            raise ValueError(f"new_sample_weight must be in (0, 1], got {new_sample_weight}")
        self.smooth = smooth if isinstance(smooth, nn.Module) else create_activation(smooth)
        if "device" in options or "dtype" in options:
            self.smooth.to(device=self._device, dtype=self._dtype)
        self.slope_mode = slope
        self.value = value
        self.lower = lower
        self.upper = upper
        self.new_sample_weight = new_sample_weight
        if slope == "ema":
            for name in ("slope", "slope_average"):
                self._initial[name] = ((lower + upper) / 2,)
                self.register_buffer(name, torch.empty((), dtype=torch.float32, device=self._device))
            self.reset_parameters()
        elif slope == "trainable":
            self.train_parameters(slope=value)
        else:
            self.slope = value
        module: Any = self.smooth
        function: Any = module.function.leaky if isinstance(module, Activation) else _WithoutKernels(module)
        self.function = function  # type: ignore[misc]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Leaky":
        super()._apply(fn, recurse)
        if self.slope_mode == "ema":  # float32 under .double() too: draws and averages are the same in every network
            for name in ("slope", "slope_average"):
                self._buffers[name] = getattr(self, name).float()
        return self

    def arguments_for(self, x: Tensor) -> tuple[Any, ...]:
        """The slope, with ema the drawn one in training and the average in evaluation; and what S takes besides x."""
        # From the dictionaries: an attribute of a module that is a buffer or a module takes five times as long.
        slope = self._buffers["slope" if self.training else "slope_average"] if self.slope_mode == "ema" else self.slope
        if len(self.function.defaults) == 1:
            return (slope,)
        return slope, *cast(Activation, self._modules["smooth"]).arguments_for(x)

    def extra_repr(self) -> str:
        """Show the slope's form, and in it what it uses."""
        shown = f"slope={self.slope_mode!r}, value={self.value:g}"
        if self.slope_mode == "ema":
            shown = f"slope='ema', lower={self.lower:g}, upper={self.upper:g}"
            shown += f", new_sample_weight={self.new_sample_weight:g}"
        return shown + (", inplace=True" if self.inplace else "")


class _WithoutKernels:
    """(1 - a) S(x) + a x for any module S, in the place of a function with kernels."""

    defaults: ClassVar = {"a": 0.01}
    inplace = None
    native_in_exports = True

    def __init__(self, smooth: nn.Module) -> None:
        self.name = f"leaky {type(smooth).__name__.lower()}"
        self._smooth = smooth

    def native(self, x: Tensor, a: Tensor | float) -> Tensor:
        wide = widened(x)
        y: Tensor = (1 - a) * self._smooth(wide) + a * wide
        return y.to(x.dtype).view(x.shape)


class LPFLU(Leaky):
    """LPFLU: (1 - a) PFLU(x) + a x, PFLU(x) = (x/2) (1 + x / sqrt(1 + x^2)): the LPFLU paper's own function.

    :class:`Leaky` of :class:`~lpflu_bench.activations.functions.pflu.PFLU`; the arguments are explained there.

    Limits: slope a towards minus infinity, 1 towards plus infinity; derivative (1 + a)/2 at 0. Not monotone for
    a < 0.0424492346: with a = 0.01 the minimum is -0.156760737 at -0.839718.
    Source: as for :class:`Leaky`; the authors' code is github.com/mengzhu0308/LPFLU.

    >>> LPFLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1550,  0.0000,  0.8550])
    """

    def __init__(
        self,
        slope: Literal["ema", "fixed", "trainable"] = "ema",
        value: float = 0.01,
        lower: float = 0.0,
        upper: float = 0.02,
        new_sample_weight: float = 0.00125,
        **options: Unpack[Options],
    ) -> None:
        super().__init__("pflu", slope, value, lower, upper, new_sample_weight, **options)


def ema_layers(network: nn.Module) -> list[Leaky]:
    """Return the layers with a random slope, each once, in the order of ``network.modules()``."""
    found: list[Leaky] = []
    seen: set[nn.Module] = set()
    # A stack of our own, and only modules that have others in them, as a Leaky has: this runs in every step, and
    # ``network.modules()`` takes several times as long.
    waiting = [network]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if isinstance(module, Leaky) and module.slope_mode == "ema":
            found.append(module)
        waiting += [child for child in reversed(module._modules.values()) if child is not None and child._modules]
    return found


def draw_slopes(network: nn.Module | list[Leaky], *, seed: int, step: int) -> None:
    """Set the slope of every ema layer to its draw for this optimizer step.

    The draw is a pure function of the seed, the step and the layer's place: equal on every rank, and the same after a
    resume with nothing restored. Call it before the step's first forward, once, also with gradient accumulation.

    Args:
        network: Any module that contains the layers; or the layers as :func:`ema_layers` found them, which saves the search.
        seed: The run's seed.
        step: The optimizer step, counted over the whole run.
    """
    layers = _layers(network)
    uniform = _uniform(derive_seed(seed, "slope", step), len(layers))
    lower = np.array([layer.lower for layer in layers])
    upper = np.array([layer.upper for layer in layers])
    drawn = torch.from_numpy((lower + (upper - lower) * uniform).astype(np.float32))
    slopes = _buffers(layers, "slope")
    for device in {slope.device for slope in slopes}:  # one, but for a network spread over several devices
        values = send(drawn, device).unbind()
        here = [index for index, slope in enumerate(slopes) if slope.device == device]
        copy_each([slopes[index] for index in here], [values[index] for index in here])


def update_slope_averages(network: nn.Module | list[Leaky]) -> None:
    """Move the average of every ema layer towards its present slope by ``new_sample_weight``; once a step."""
    layers = _layers(network)
    slopes, averages = _buffers(layers, "slope"), _buffers(layers, "slope_average")
    groups: defaultdict[tuple[torch.device, float], list[int]] = defaultdict(list)
    for index, (layer, average) in enumerate(zip(layers, averages, strict=True)):
        groups[average.device, layer.new_sample_weight].append(index)
    for (_, weight), indices in groups.items():
        lerp_each([averages[index] for index in indices], [slopes[index] for index in indices], weight)


def advance_slopes(network: nn.Module | list[Leaky], *, seed: int, step: int) -> None:
    """Draw the slopes of this step and take them into the averages: one call before each step of a plain loop."""
    layers = _layers(network)
    draw_slopes(layers, seed=seed, step=step)
    update_slope_averages(layers)


def _layers(network: nn.Module | list[Leaky]) -> list[Leaky]:
    return network if isinstance(network, list) else ema_layers(network)


_philox = np.random.Philox(key=0)
_START: Any = {**_philox.state, "buffer_pos": 4, "has_uint32": 0}
_generator = np.random.Generator(_philox)
_one_at_a_time = threading.Lock()


def _uniform(key: int, count: int) -> np.ndarray:
    """What ``Generator(Philox(key=key)).random(count)`` gives, by one generator: a new one takes three times as long."""
    start: Any = {"counter": np.zeros(4, np.uint64), "key": np.array([key, 0], np.uint64)}
    with _one_at_a_time:
        _philox.state = _START | {"state": start}
        return _generator.random(count)


def _buffers(layers: list[Leaky], name: str) -> list[Tensor]:
    found = [layer._buffers[name] for layer in layers]
    return [buffer for buffer in found if buffer is not None]
