"""The fast path in eager mode: one pass forward, one backward, the input the only large tensor kept for backward.

``apply(formula, x, *parameters)`` gives what ``formula(x, *parameters)`` gives. On ordinary tensors in eager mode it runs
the kernels of :mod:`~lpflu_bench.activations.kernels`. Everywhere else the formula itself runs, chosen automatically:
under ``torch.compile``, ``torch.export`` and ONNX (inductor fuses plain code with its neighbours, but not a kernel of
ours), in functorch transforms and forward-mode AD, under dispatch modes and tensor subclasses, in float64, and for
tensors of fewer than ``MINIMUM_ELEMENTS`` (a kernel's first use costs seconds; a run of small tensors should not pay
them). A gradient that is itself to be differentiated comes from the formula too.

Where nothing can be compiled (no C++ compiler, no Triton) the formula runs forward without keeping its intermediate
results and again in backward: slower, as lean, and said once.
"""

import contextlib
import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from lpflu_bench.activations.derivatives import COEFFICIENT_SHAPES
from lpflu_bench.activations.kernels import Argument, Formula, Kernel, View, kernel

MODES = ("fused", "eager", "compiled")
ENVIRONMENT_VARIABLE = "LPFLU_BENCH_ACTIVATIONS"

# Below this many elements the composed formula takes about as long as a kernel's call does.
MINIMUM_ELEMENTS = 1 << 16

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_DEVICES = ("cpu", "cuda")
_PLAIN_TYPES = (Tensor, torch.nn.Parameter)


def _checked(mode: str, source: str) -> str:
    if mode not in MODES:
        raise ValueError(f"{source} must be one of {', '.join(MODES)}; got {mode!r}")
    return mode


_mode = _checked(os.environ.get(ENVIRONMENT_VARIABLE, "fused"), ENVIRONMENT_VARIABLE)


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


def apply(formula: Formula, x: Tensor, *parameters: Any) -> Tensor:
    """The values of a pointwise formula, by the fast path where it applies.

    Args:
        formula: A function of module level, ``formula(x, *parameters)``, pointwise in x, plain tensor code.
        x: The input, any shape and layout.
        parameters: What the formula takes besides x. Tensors may have one element, one for each channel (dimension 1, shaped so
            that they broadcast) or, without a gradient, one for each element of x; with any others the formula runs.
            Floats become 0-d tensors, so that a new value compiles nothing.

    Returns:
        ``formula(x, *parameters)``: the same shape, dtype and memory format as x.
    """
    # The first test stands alone: torch.compile and torch.export decide it while tracing and see the formula only.
    if torch.compiler.is_compiling() or _mode == "eager":
        return formula(x, *parameters)
    if x.numel() < MINIMUM_ELEMENTS or not _is_eager(x):
        return formula(x, *parameters)
    if _mode == "compiled":
        result: Tensor = _compiled(formula)(x, *parameters)
        return result
    tensors: list[Tensor] = []
    constants: list[Any] = []
    arguments: list[Argument] = []
    for parameter in parameters:
        if isinstance(parameter, float):
            parameter = _scalar(parameter, x.device)
        if not isinstance(parameter, Tensor):
            constants.append((parameter,))
            continue
        argument = _argument(formula, parameter, x)
        if argument is None:
            return formula(x, *parameters)
        constants.append(None)
        tensors.append(parameter)
        arguments.append(argument)
    fixed = () if len(tensors) == len(constants) else tuple(constants)
    return _Fused.apply(formula, fixed, tuple(arguments), x, *tensors)  # type: ignore[no-any-return]


def _is_eager(x: Tensor) -> bool:
    """Whether x is an ordinary tensor that nothing watches but autograd."""
    return (
        type(x) in _PLAIN_TYPES
        and x.dtype in _DTYPES
        and x.device.type in _DEVICES
        and x.layout is torch.strided
        and torch._C._has_storage(x)  # not so the batched gradients of ``torch.autograd.grad(is_grads_batched=True)``
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
        and torch._C._get_tracing_state() is None
    )


def _argument(formula: Formula, parameter: Tensor, x: Tensor) -> Argument | None:
    """What a tensor parameter is to the kernel, or None where the kernels don't know its shape."""
    if type(parameter) not in _PLAIN_TYPES or parameter.device != x.device or not parameter.is_floating_point():
        return None
    if formula in COEFFICIENT_SHAPES:
        return "coefficients"
    if parameter.dim() > x.dim():  # the result would take the parameter's shape
        return None
    if parameter.numel() == 1:
        return "scalar"
    if parameter.shape == x.shape:
        return (
            "full" if parameter.stride() == x.stride() and _memory_format(x) and not parameter.requires_grad else None
        )
    if x.dim() < 2 or parameter.dim() < x.dim() - 1:
        return None
    return "channels" if parameter.numel() == parameter.shape[1 - x.dim()] == x.shape[1] else None


@functools.lru_cache(maxsize=1024)
def _scalar(value: float, device: torch.device) -> Tensor:
    # Filled on the device: a copy from the host would wait for the GPU. Outside inference mode: autograd may save it.
    with torch.inference_mode(False):
        return torch.full((), value, dtype=torch.float32, device=device)


@functools.cache
def _compiled(formula: Formula) -> Callable[..., Any]:
    return torch.compile(formula, dynamic=True)


def _memory_format(x: Tensor) -> torch.memory_format | None:
    """The format in which x fills its memory without gaps, or None."""
    if x.is_contiguous():
        return torch.contiguous_format
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    if x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d):
        return torch.channels_last_3d
    return None


def _alias(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor's memory, which has no gaps, as a tensor of its own of that shape.

    Not a view: dynamo guards the shape of what a view is of, and would compile again for every spatial size.
    """
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return tensor.new_empty(0).set_(tensor.untyped_storage(), int(tensor.storage_offset()), shape, strides)


def _view(x: Tensor, memory_format: torch.memory_format, by_channel: bool) -> tuple[Tensor, View]:
    """X's memory as the kernels see it. No copy where x has that memory format."""
    x = x.contiguous(memory_format=memory_format)
    if not by_channel:
        return _alias(x, (x.numel(),)), "line"
    outer, channels = x.shape[:2]
    inner = x.numel() // (outer * channels)
    if memory_format is not torch.contiguous_format or inner == 1:
        return _alias(x, (outer * inner, channels)), "rows"
    return _alias(x, (outer, channels, inner)), "channels"


def _shaped(line: Tensor, like: Tensor, memory_format: torch.memory_format) -> Tensor:
    """Give a kernel's result the shape it stands for. In place: as a view it could not be changed in place later."""
    return line.resize_(like.shape, memory_format=memory_format)


def _kernel_tensor(parameter: Tensor, argument: Argument, view: View, memory_format: torch.memory_format) -> Tensor:
    """A parameter as the kernel takes it: float32, apart from autograd, the shape independent of x's rank."""
    if argument == "full":
        return _view(parameter, memory_format, view != "line")[0]
    shape: tuple[int, ...] = tuple(parameter.shape) if argument == "coefficients" else ()
    if argument == "channels":
        shape = (parameter.numel(), 1) if view == "channels" else (parameter.numel(),)
    return _alias(parameter.float().contiguous(), shape)


class _Fused(torch.autograd.Function):
    """A formula by its kernels. Saves x and the parameters."""

    @staticmethod
    def forward(
        ctx: Any,
        formula: Formula,
        constants: tuple[Any, ...],
        arguments: tuple[Argument, ...],
        x: Tensor,
        *tensors: Tensor,
    ) -> Tensor:
        ctx.formula, ctx.constants, ctx.arguments = formula, constants, arguments
        ctx.save_for_backward(x, *tensors)
        memory_format = _memory_format(x) or torch.contiguous_format
        line, view = _view(x, memory_format, "channels" in arguments)
        passes = _kernel(formula, constants, arguments, view, line)
        if not passes.usable:
            return _call(formula, constants, x, tensors)
        inputs = [_kernel_tensor(*pair, view, memory_format) for pair in zip(tensors, arguments, strict=True)]
        return _shaped(passes.forward(line, inputs), x, memory_format)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *tensors = ctx.saved_tensors
        needed = tuple(ctx.needs_input_grad[4:])
        if not torch.is_grad_enabled() and _is_eager(grad) and _is_eager(x):
            memory_format = _memory_format(x) or torch.contiguous_format
            by_channel = "channels" in ctx.arguments
            line, view = _view(x, memory_format, by_channel)
            compiled = _kernel(ctx.formula, ctx.constants, ctx.arguments, view, line).backward(needed)
            if compiled is not None:
                inputs = [
                    _kernel_tensor(*pair, view, memory_format) for pair in zip(tensors, ctx.arguments, strict=True)
                ]
                grad_x, *sums = compiled(_view(grad.to(x.dtype), memory_format, by_channel)[0], line, *inputs)
                total = iter(sums)
                grads = [
                    next(total).to(tensor.dtype).view(tensor.shape) if need else None
                    for tensor, need in zip(tensors, needed, strict=True)
                ]
                return None, None, None, _shaped(grad_x, x, memory_format), *grads
        return None, None, None, *_differentiate(ctx.formula, ctx.constants, grad, x, tensors, ctx.needs_input_grad[3:])


def _kernel(
    formula: Formula, constants: tuple[Any, ...], arguments: tuple[Argument, ...], view: View, line: Tensor
) -> Kernel:
    return kernel(formula, constants, arguments, view, line.dtype, line.device.type)


def _call(formula: Formula, constants: tuple[Any, ...], x: Tensor, tensors: Any) -> Tensor:
    remaining = iter(tensors)
    if not constants:
        return formula(x, *remaining)
    return formula(x, *(next(remaining) if constant is None else constant[0] for constant in constants))


def _differentiate(
    formula: Formula,
    constants: tuple[Any, ...],
    grad: Tensor,
    x: Tensor,
    tensors: list[Tensor],
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """The gradients by autograd over the formula, differentiable again when grad mode is on."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases, so that a parameter which itself depends on x is not counted twice.
        inputs = [tensor.view_as(tensor) if again else tensor.detach() for tensor in (x, *tensors)]
        for tensor, need in zip(inputs, needed, strict=True):
            if need and not tensor.requires_grad:
                tensor.requires_grad_()
        value = _call(formula, constants, inputs[0], inputs[1:])
        wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
        found = iter(torch.autograd.grad(value, wanted, grad, create_graph=again))
    return tuple(next(found) if need else None for need in needed)
