"""The fast path in eager mode: one pass forward, one backward, the input the only large tensor kept for backward.

``apply(formula, x, *parameters)`` gives what ``formula.composed(x, *parameters)`` gives. On ordinary tensors in eager mode
it runs the kernels of :mod:`~lpflu_bench.activations.kernels`; under ``torch.compile`` their code is traced
(:mod:`~lpflu_bench.activations.traced`). Everywhere else the composed formula runs, chosen automatically: in
``torch.export`` and ONNX, in functorch transforms and forward-mode AD, under dispatch modes and tensor subclasses, and in
float64. A gradient that is itself to be differentiated comes from the formula too.

A kernel's first use in a process costs seconds, which a short run of small tensors should not pay: a tensor of fewer than
``MINIMUM_ELEMENTS`` elements has its formula composed until the process has seen ``SMALL_CALLS`` of them. A training
decides once instead, from its length (:func:`set_small_kernels`), so that a resumed one computes the same digits.

Where nothing can be compiled (no C++ compiler, no Triton) the formula runs forward without keeping its intermediate
results and again in backward: slower, as lean, and said once.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, get_num_threads, is_grad_enabled, strided
from torch.compiler import is_compiling

from lpflu_bench.activations.formula import Formula
from lpflu_bench.activations.kernels import SMALL, Argument, Kernel, View, kernel
from lpflu_bench.activations.torch_private import is_exporting, only_autograd_watches, without_checks
from lpflu_bench.activations.traced import traced

MODES = ("fused", "eager", "compiled")
ENVIRONMENT_VARIABLE = "LPFLU_BENCH_ACTIVATIONS"

MINIMUM_ELEMENTS = 1 << 16
SMALL_CALLS = 1000

_DTYPES = frozenset({torch.float32, torch.bfloat16, torch.float16})
_PLAIN_TYPES = frozenset({Tensor, torch.nn.Parameter})
_LARGEST_INDEX = 2**31 - 1  # Triton's kernels index with 32 bits, and nothing guards them here


def _checked(mode: str, source: str) -> str:
    if mode not in MODES:
        raise ValueError(f"{source} must be one of {', '.join(MODES)}; got {mode!r}")
    return mode


_mode = _checked(os.environ.get(ENVIRONMENT_VARIABLE, "fused"), ENVIRONMENT_VARIABLE)
_small_calls = 0
_small_kernels: bool | None = None


def get_mode() -> str:
    """The way in which activations run in eager mode: "fused", "eager" or "compiled"."""
    return _mode


def set_mode(mode: str) -> None:
    """Choose how activations run in eager mode.

    The environment variable ``LPFLU_BENCH_ACTIVATIONS`` sets it for a whole process.

    Args:
        mode: "fused" (the default: this module's kernels), "eager" (the formula, operation by operation) or "compiled"
            (``torch.compile`` of the formula, its own choice of what to keep for backward).

    Raises:
        ValueError: For another mode.
    """
    global _mode
    _mode = _checked(mode, "mode")


@contextlib.contextmanager
def use_mode(mode: str) -> Iterator[None]:
    """``set_mode`` for the length of a ``with`` block."""
    before = _mode
    set_mode(mode)
    try:
        yield
    finally:
        set_mode(before)


def set_small_kernels(decision: bool | None) -> None:
    """Decide whether tensors of fewer than ``MINIMUM_ELEMENTS`` elements go through kernels in this process.

    Args:
        decision: From the first call on, or never; None leaves it to the count of calls, which begins again.
    """
    global _small_kernels, _small_calls
    _small_kernels, _small_calls = decision, 0


@contextlib.contextmanager
def use_small_kernels() -> Iterator[None]:
    """Kernels for small tensors too, for the length of a ``with`` block."""
    before = _small_kernels
    set_small_kernels(True)
    try:
        yield
    finally:
        set_small_kernels(before)


def apply(formula: Formula, x: Tensor, *parameters: Any, inference: bool = False) -> Tensor:
    """The values of a pointwise formula, by the fast path where it applies.

    Args:
        formula: The function.
        x: The input, floating point, any shape and layout.
        parameters: All that the formula takes besides x. Floats become tensors, so that a new value compiles nothing.
        inference: Whether a graph that is exported may have the formula's short form.

    Returns:
        The same shape, dtype and memory format as x.
    """
    # This runs at every activation of a network, between convolutions that leave little of it in the processor's caches: each
    # function called and each long path of names costs several times what it does in a loop.
    if is_compiling():  # first: torch.compile and torch.export see no more than the code chosen
        if _mode == "eager" or is_exporting():
            return formula.composed(x, *parameters, short=inference and is_exporting())
        return traced(formula, x, *parameters)
    numel = x.numel()
    if (
        _mode == "eager"
        or type(x) not in _PLAIN_TYPES
        or x.dtype not in _DTYPES
        or not (x.is_cpu or (x.is_cuda and numel <= _LARGEST_INDEX))
        or x.layout is not strided
        or not only_autograd_watches(x)
        or not (numel >= MINIMUM_ELEMENTS or (_small_kernels and numel) or _worth_a_kernel(numel))
    ):
        return formula.composed(x, *parameters, short=inference and is_exporting())
    if _mode == "compiled":
        result: Tensor = _compiled(formula)(x, *parameters)
        return result
    call = _call(formula, x, parameters)
    if call is None:
        return formula.composed(x, *parameters)
    kind, tensors = call
    if not (x.is_contiguous() or _dense(x)):
        x = x.clone()  # which keeps the order of the dimensions
    if is_grad_enabled() and (x.requires_grad or any(tensor.requires_grad for tensor in tensors)):
        return _apply_fused(kind, x, *tensors)  # type: ignore[no-any-return]
    return _Fused.forward(None, kind, x, *tensors)


def _worth_a_kernel(numel: int) -> bool:
    """Whether a tensor of so many elements, fewer than ``MINIMUM_ELEMENTS``, goes through kernels."""
    global _small_calls
    if not numel:
        return False
    if _small_kernels is not None:
        return _small_kernels
    if _small_calls >= SMALL_CALLS:
        return True
    _small_calls += 1
    return False


@functools.cache
def _compiled(formula: Formula) -> Callable[..., Any]:
    return torch.compile(formula.composed, dynamic=True)


@functools.lru_cache(maxsize=1024)
def _scalar(value: float, device: torch.device) -> Tensor:
    # Filled on the device: a copy from the host would wait for the GPU. Outside inference mode: autograd may save it.
    with torch.inference_mode(False):
        return torch.full((), value, dtype=torch.float32, device=device)


def _dense(x: Tensor) -> bool:
    """Whether x fills its memory without gaps or overlaps, in whatever order of dimensions."""
    if x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)):
        return True
    step = 1
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


class _Call:
    """A formula with parameters of certain kinds, by its kernels."""

    def __init__(self, formula: Formula, constants: tuple[Any, ...], arguments: tuple[Argument, ...]) -> None:
        self.formula = formula
        self.constants = constants
        self.arguments = arguments
        self.by_channel = "channels" in arguments
        self._kernels: dict[tuple[Any, ...], Kernel] = {}

    def kernel(self, x: Tensor) -> tuple[list[int], Kernel]:
        """The sizes of the view in which the kernel sees the dense tensor x, and the kernel."""
        numel = x.numel()
        view: View = "line"
        sizes = [numel]
        if self.by_channel:
            outer, channels = x.shape[:2]
            inner = numel // (outer * channels) if numel else 1
            view = "channels" if x.is_contiguous() and inner != 1 else "rows"
            sizes = [outer, channels, inner] if view == "channels" else [outer * inner, channels]
        small, threads = (numel <= SMALL, get_num_threads()) if x.is_cpu else (False, 1)
        key = (view, x.dtype, x.get_device(), small, threads)
        found = self._kernels.get(key)
        if found is None:
            found = self._kernels[key] = kernel(
                self.formula, self.constants, self.arguments, view, x.dtype, x.device, small, threads
            )
        return sizes, found

    def composed(self, x: Tensor, tensors: Any) -> Tensor:
        remaining = iter(tensors)
        if not self.constants:
            return self.formula.composed(x, *remaining)
        return self.formula.composed(x, *(next(remaining) if c is None else c[0] for c in self.constants))


@functools.cache
def _kind(formula: Formula, constants: tuple[Any, ...], arguments: tuple[Argument, ...]) -> _Call:
    return _Call(formula, constants, arguments)


def _call(formula: Formula, x: Tensor, parameters: tuple[Any, ...]) -> tuple[_Call, tuple[Tensor, ...]] | None:
    """What runs the formula on these parameters and the tensors among them, or None where no kernel can."""
    tensors: list[Tensor] = []
    if not formula.coefficients:
        device = x.get_device()
        for parameter in parameters:
            if type(parameter) is float:
                parameter = _scalar(parameter, x.device)
            elif (
                type(parameter) not in _PLAIN_TYPES
                or parameter.numel() != 1
                or parameter.dtype is not torch.float32
                or parameter.get_device() != device
            ):
                break
            tensors.append(parameter)
        else:  # the usual case
            return _kind(formula, (), ("scalar",) * len(tensors)), tuple(tensors)
        tensors = []
    constants: list[Any] = []
    arguments: list[Argument] = []
    for index, parameter in enumerate(parameters):
        if isinstance(parameter, (float, int)) and not isinstance(parameter, bool):
            parameter = _scalar(float(parameter), x.device)
        if not isinstance(parameter, Tensor):
            constants.append((parameter,))
            continue
        argument = _argument(formula, index, parameter, x)
        if argument is None:
            return None
        constants.append(None)
        tensors.append(parameter)
        arguments.append(argument)
    fixed = () if len(tensors) == len(constants) else tuple(constants)
    return _kind(formula, fixed, tuple(arguments)), tuple(tensors)


def _argument(formula: Formula, index: int, parameter: Tensor, x: Tensor) -> Argument | None:
    """What a tensor parameter is to the kernel, or None where no kernel takes it."""
    if (
        type(parameter) not in _PLAIN_TYPES
        or parameter.dtype is not torch.float32
        or parameter.device != x.device
        or not parameter.is_contiguous()
    ):
        return None if formula.settings[index] not in formula.elementwise else _full(parameter, x)
    if (length := formula.coefficients.get(formula.settings[index])) is not None:
        return "coefficients" if parameter.shape == (length,) else None
    if parameter.numel() == 1:
        return "scalar"
    if formula.settings[index] in formula.elementwise:
        return _full(parameter, x)
    if x.dim() < 2 or parameter.dim() != 1 or parameter.numel() != x.shape[1]:
        return None  # the composed formula says what is wrong
    in_rows = x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last))
    return "channels" if in_rows or not _dense(x) else None


def _full(parameter: Tensor, x: Tensor) -> Argument | None:
    fits = parameter.shape == x.shape and parameter.stride() == x.stride() and parameter.dtype is torch.float32
    return "full" if fits and _dense(x) and not parameter.requires_grad else None


class _Fused(torch.autograd.Function):
    """A formula by its kernels, of a dense x. Saves x and the parameters."""

    @staticmethod
    def forward(ctx: Any, kind: _Call, x: Tensor, *tensors: Tensor) -> Tensor:
        sizes, passes = kind.kernel(x)
        strides = x.stride()
        if ctx is not None:
            ctx.call = kind, sizes, passes, strides
            ctx.save_for_backward(x, *tensors)
        if passes.forward is None:
            with torch.no_grad():
                return kind.composed(x, tensors)
        values = passes.forward([*sizes, x, *tensors])[0]
        # In place: as a view the result could not be changed in place later.
        return values if len(strides) == 1 else values.as_strided_(x.shape, strides)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kind, sizes, passes, strides = ctx.call
        x, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        as_saved = x.stride() == strides  # unless a hook on saved tensors has brought it back otherwise
        if as_saved and not is_grad_enabled() and type(grad) is Tensor and only_autograd_watches(grad):
            compiled = passes.backward(needed)
            if compiled is not None:
                if grad.stride() != strides or grad.dtype is not x.dtype:
                    grad = torch.empty_like(x).copy_(grad)
                grad_x, *sums = compiled([*sizes, grad, x, *tensors])
                if len(strides) != 1:
                    grad_x = grad_x.as_strided_(x.shape, strides)
                if not sums:
                    return None, grad_x, *[None] * len(tensors)
                total = iter(sums)
                grads = [
                    next(total).view(tensor.shape) if need else None
                    for tensor, need in zip(tensors, needed, strict=True)
                ]
                return None, grad_x, *grads
        return None, *_differentiate(kind, grad, x, tensors, ctx.needs_input_grad[1:])


_apply_fused = without_checks(_Fused)


def _differentiate(
    kind: _Call, grad: Tensor, x: Tensor, tensors: list[Tensor], needed: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """The gradients by autograd over the formula, differentiable again when grad mode is on."""
    again = is_grad_enabled()
    with torch.enable_grad():
        # Aliases, so that a parameter which itself depends on x is not counted twice.
        inputs = [tensor.view_as(tensor) if again else tensor.detach() for tensor in (x, *tensors)]
        for tensor, need in zip(inputs, needed, strict=True):
            if need and not tensor.requires_grad:
                tensor.requires_grad_()
        value = kind.composed(inputs[0], inputs[1:])
        wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
        found = iter(torch.autograd.grad(value, wanted, grad, create_graph=again))
    return tuple(next(found) if need else None for need in needed)
