"""The cost of functions by themselves: time, bandwidth and bytes kept for backward."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from lpflu_bench.activations.fused import use_mode, use_small_kernels
from lpflu_bench.activations.registry import create_activation
from lpflu_bench.activations.torch_private import allow_compiled_versions
from lpflu_bench.environment import describe
from lpflu_bench.errors import UserError
from lpflu_bench.speed.memory import available_bytes, bytes_kept
from lpflu_bench.speed.timing import Spread, rotate

PAPER_SHAPE = (32, 1024, 56, 56)
PAPER_FUNCTIONS = ("relu", "mish", "pflu", "smu", "gish", "lpflu")
REFERENCE = "relu"
MODES = ("eager", "fused", "compiled")
PASSES = ("forward", "forward+backward")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
COLUMNS = (
    *("device", "device_type", "threads", "torch", "shape", "dtype", "function", "mode", "pass", "repeats"),
    *("passes_per_second", "seconds_median", "seconds_low", "seconds_high", "ratio_to_relu"),
    *("gb_per_second", "fraction_of_copy", "input_bytes", "kept_bytes"),
)

# Tensors of the input's size that a pass must read or write: x -> y; then grad and x -> grad of x.
_TRAFFIC = {"copy": 2, "forward": 2, "forward+backward": 5}
# What a backward of plain operations holds at most beyond what the forward kept.
_WORKING_TENSORS = 6


@dataclass(frozen=True)
class Case:
    """One measured call: a function, how it runs, which passes."""

    function: str
    mode: str
    passes: str


def measure(
    functions: Sequence[str],
    *,
    modes: Sequence[str] = MODES,
    dtypes: Sequence[str] = ("float32",),
    shape: Sequence[int] = PAPER_SHAPE,
    repeats: int = 20,
    device: torch.device | str = "cpu",
    progress: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Time functions in training mode on one random input.

    Rounds rotate over all functions, modes and passes of a dtype; with them go ReLU and a copy (``x.clone()``, which
    allocates its result as the functions do), so that ratios come from the same rounds: the median of the rounds' ratios.

    Args:
        functions: Registry names; ReLU is measured in any case.
        modes: "eager" (operation by operation; PyTorch's own kernel where it has one), "fused" (this package's kernels),
            "compiled" (``torch.compile`` of the module).
        dtypes: Names of :data:`DTYPES`.
        shape: The input's shape; dimension 1 is the channels.
        repeats: Rounds.
        device: Where to compute.
        progress: Called with a line whenever something is done.

    Returns:
        One row for each function, mode, pass and dtype, with the columns :data:`COLUMNS`; the copy is the function
        "copy". gb_per_second counts what must be moved: 2 tensors forward, 5 forward and backward. Operation by
        operation a function can need dozens of tensors of the input's size: where they would not fit, the row has no times.

    Raises:
        UserError: The input does not fit the device's memory, or an unknown function, mode or dtype.
    """
    device = torch.device(device)
    for given, known, what in ((modes, MODES, "mode"), (dtypes, DTYPES, "dtype")):
        for name in given:
            if name not in known:
                raise UserError(f"unknown {what} {name!r}; there are {', '.join(known)}")
    names = list(dict.fromkeys([REFERENCE, *functions]))
    environment = describe(device)
    allow_compiled_versions(16 * len(names))
    frames = []
    for dtype in dtypes:
        try:
            frames.append(_measure_dtype(names, modes, dtype, shape, repeats, device, progress))
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise UserError(
                f"an input of shape {'x'.join(map(str, shape))} in {dtype} is too large for {environment['device']}: "
                "give a smaller --shape, or leave the eager mode out"
            ) from error
    frame = pd.concat(frames, ignore_index=True)
    frame["device"], frame["threads"], frame["torch"] = environment["device"], environment["threads"], torch.__version__
    frame["device_type"] = device.type
    frame["shape"] = "x".join(map(str, shape))
    return frame[list(COLUMNS)]


@use_small_kernels()  # so few calls would not reach the count
def _measure_dtype(
    names: Sequence[str],
    modes: Sequence[str],
    dtype: str,
    shape: Sequence[int],
    repeats: int,
    device: torch.device,
    progress: Callable[[str], None],
) -> pd.DataFrame:
    generator = torch.Generator(device).manual_seed(0)
    x = torch.randn(tuple(shape), generator=generator, device=device).to(DTYPES[dtype]).requires_grad_()
    grad = torch.randn(tuple(shape), generator=generator, device=device).to(DTYPES[dtype])
    source = x.detach()
    # One image, to count on what the composed formulas keep: on a CPU too much memory would not be an error but the end
    # of the process. The others keep little.
    sample = x.detach()[:1].clone().requires_grad_()
    size = x.numel() * x.element_size()
    available = available_bytes(device)
    calls: dict[Case, Callable[[], object]] = {Case("copy", "eager", "copy"): source.clone}
    kept: dict[tuple[str, str], int] = {}
    left_out: list[Case] = []
    for name in names:
        for mode in modes:
            module = create_activation(name).to(device)
            run = torch.compile(module, dynamic=False) if mode == "compiled" else module
            calls[Case(name, mode, "forward")] = _forward(run, mode, source)
            counted_on = sample if mode == "eager" else x
            bytes_counted = bytes_kept(
                functools.partial(_in_mode(run, mode), counted_on), (*module.parameters(), *module.buffers())
            )
            kept[name, mode] = bytes_counted * (len(x) // len(counted_on))
            both = Case(name, mode, "forward+backward")
            if mode == "eager" and kept[name, mode] + _WORKING_TENSORS * size >= available:
                left_out.append(both)
            else:
                calls[both] = _forward_backward(run, module, mode, x, grad)
        progress(f"{dtype}: {name} is ready")
    seconds = rotate(
        calls, device, repeats=repeats, each_round=lambda done: progress(f"{dtype}: round {done} of {repeats}")
    )
    reference_mode = "eager" if "eager" in modes else modes[0]
    copy = Spread.of(seconds[Case("copy", "eager", "copy")]).median
    rows = []
    for case, values in {**seconds, **{case: [math.nan] * repeats for case in left_out}}.items():
        spread = Spread.of(values)
        reference = seconds[Case(REFERENCE, reference_mode, case.passes)] if case.passes in PASSES else values
        speed = _TRAFFIC[case.passes] * size / spread.median
        rows.append(
            {
                "dtype": dtype,
                "function": case.function,
                "mode": case.mode,
                "pass": case.passes,
                "repeats": repeats,
                "passes_per_second": 1 / spread.median,
                "seconds_median": spread.median,
                "seconds_low": spread.low,
                "seconds_high": spread.high,
                "ratio_to_relu": Spread.of([a / b for a, b in zip(values, reference, strict=True)]).median,
                "gb_per_second": speed / 1e9,
                "fraction_of_copy": speed / (_TRAFFIC["copy"] * size / copy),
                "input_bytes": size,
                "kept_bytes": kept.get((case.function, case.mode), 0),
            }
        )
    return pd.DataFrame(rows)


def _in_mode(function: Callable[[Tensor], Tensor], mode: str) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        with use_mode("eager" if mode == "eager" else "fused"):
            return function(x)

    return call


def _forward(function: Callable[[Tensor], Tensor], mode: str, x: Tensor) -> Callable[[], object]:
    in_mode = _in_mode(function, mode)

    def call() -> Tensor:
        with torch.no_grad():
            return in_mode(x)

    return call


def _forward_backward(
    function: Callable[[Tensor], Tensor], module: nn.Module, mode: str, x: Tensor, grad: Tensor
) -> Callable[[], object]:
    in_mode = _in_mode(function, mode)
    wanted = [x, *module.parameters()]

    def call() -> object:
        return torch.autograd.grad(in_mode(x), wanted, grad)

    return call
