"""One call of a formula's kernels on ordinary tensors: what each parameter is to them, and the autograd function.

:mod:`~lpflu_bench.activations.node` does the usual call in C++; this is every case.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, get_num_threads, is_grad_enabled

from lpflu_bench.activations import node
from lpflu_bench.activations.formula import Formula
from lpflu_bench.activations.kernels import Argument, Kernel, View, kernel
from lpflu_bench.activations.node import SMALL
from lpflu_bench.activations.torch_private import only_autograd_watches, without_checks

PLAIN_TYPES = frozenset({Tensor, torch.nn.Parameter})


def call_kernels(formula: Formula, x: Tensor, parameters: tuple[Any, ...]) -> Tensor | None:
    """The values of a formula by its kernels, with their gradients; None where no kernel takes these parameters.

    Args:
        formula: The function.
        x: Of a floating dtype of at most 32 bits, on a CPU or a GPU, seen by nothing but autograd.
        parameters: All that the formula takes besides x.
    """
    call = _call(formula, x, parameters)
    if call is None:
        return None
    kind, tensors = call
    if not (x.is_contiguous() or _dense(x)):
        x = x.clone()  # which keeps the order of the dimensions
    if is_grad_enabled() and (x.requires_grad or any(tensor.requires_grad for tensor in tensors)):
        return _apply_fused(kind, x, *tensors)  # type: ignore[no-any-return]
    return _Fused.forward(None, kind, x, *tensors)


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

    def composed(self, x: Tensor, *tensors: Tensor) -> Tensor:
        if not self.constants:
            return self.formula.composed(x, *tensors)
        remaining = iter(tensors)
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
                type(parameter) not in PLAIN_TYPES
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
        type(parameter) not in PLAIN_TYPES
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
                return kind.composed(x, *tensors)
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
        return None, *_differentiate(kind.composed, grad, (x, *tensors), ctx.needs_input_grad[1:])


_apply_fused = without_checks(_Fused)


def _differentiate(
    function: Callable[..., Tensor], grad: Tensor, given: Sequence[Tensor], needed: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """The gradients by autograd over the formula, differentiable again when grad mode is on."""
    again = is_grad_enabled()
    with torch.enable_grad():
        # Aliases, so that a parameter which itself depends on x is not counted twice.
        inputs = [tensor.view_as(tensor) if again else tensor.detach() for tensor in given]
        for tensor, need in zip(inputs, needed, strict=True):
            if need and not tensor.requires_grad:
                tensor.requires_grad_()
        value = function(*inputs)
        wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
        found = iter(torch.autograd.grad(value, wanted, grad, create_graph=again))
    return tuple(next(found) if need else None for need in needed)


def _differentiate_x(formula: Formula, grad: Tensor, given: list[Tensor]) -> Tensor | None:
    return _differentiate(formula.composed, grad, given, [True, *[False] * (len(given) - 1)])[0]


node.differentiate = _differentiate_x
