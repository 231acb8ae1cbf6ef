"""Compiled kernels of the fast path: one pass forward, one pass backward, for any pointwise formula.

A kernel is a plain formula put through ``torch.compile``: inductor writes vectorised C++ on a CPU and Triton on a GPU.
It sees the tensor's memory as one line (or as ``[outer, channels, inner]`` when a parameter has a value for each
channel), with a dynamic size, so that neither a new spatial size nor another memory format compiles again. The backward
kernel is the vector-Jacobian product of the same formula, recomputed from the input, with the sums of the parameters'
gradients in the same loop.
"""

import functools
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from lpflu_bench.activations.derivatives import COEFFICIENT_SHAPES, KERNEL_DERIVATIVES, KERNEL_FORMULAS

Formula = Callable[..., Tensor]
View = Literal["line", "channels", "rows"]  # [numel], [outer, channels, inner], [rows, channels]
# What a tensor parameter is to its formula: one number, one for each channel, one for each element, or, for a formula of
# COEFFICIENT_SHAPES, a vector of coefficients.
Argument = Literal["scalar", "channels", "full", "coefficients"]

# What a kernel is compiled with. Inductor decides from it whether to use several threads, so it is not small.
_EXAMPLE_SHAPES: dict[View, tuple[int, ...]] = {"line": (1 << 20,), "channels": (8, 128, 1024), "rows": (8192, 128)}

_warned: set[str] = set()


class Kernel:
    """The forward and backward passes of one formula, for one dtype, device type and way of viewing the memory.

    Args:
        formula: ``formula(x, *parameters)``, pointwise in x, plain tensor code.
        constants: The parameters that are no tensors, at their places; None where a tensor comes.
        arguments: For each tensor parameter the shape it has in the kernel.
        view: How the input's memory is seen.
        dtype: The input's dtype; arithmetic is in float32.
        device: The device to compile on.
    """

    def __init__(
        self,
        formula: Formula,
        constants: tuple[Any, ...],
        arguments: tuple[Argument, ...],
        view: View,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._formula = KERNEL_FORMULAS.get(formula, formula)
        # The derivatives by hand add up a parameter's gradient over everything: for scalars alone.
        self._derivatives = KERNEL_DERIVATIVES.get(formula) if set(arguments) <= {"scalar"} and not constants else None
        self._coefficients = COEFFICIENT_SHAPES.get(formula)
        self._constants = constants
        self._arguments = arguments
        self._view = view
        self._dtype = dtype
        self._device = device
        self._name = f"{getattr(formula, '__name__', 'formula')}_{str(dtype).removeprefix('torch.')}_{view}"
        self._backwards: dict[tuple[bool, ...], Callable[..., tuple[Tensor, ...]] | None] = {}
        self._forward = self._compile(self._forward_formula(), "forward", 1)

    @property
    def usable(self) -> bool:
        """Whether the forward pass compiled."""
        return self._forward is not None

    def forward(self, x: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """The function's values for a view of the input's memory."""
        assert self._forward is not None
        result: Tensor = self._forward(x, *tensors)
        return result

    def backward(self, needed: tuple[bool, ...]) -> Callable[..., tuple[Tensor, ...]] | None:
        """The compiled backward pass ``(grad, x, *tensors) -> (grad of x, grads of the needed parameters)``.

        Args:
            needed: For each tensor parameter, whether its gradient is wanted.

        Returns:
            The function, or None where it did not compile.
        """
        if needed not in self._backwards:
            name = "backward_" + "".join("01"[need] for need in needed)
            self._backwards[needed] = self._compile(self._backward_formula(needed), name, 2)
        return self._backwards[needed]

    def _bind(self, formula: Formula) -> Formula:
        """The formula as a function of x and the tensor parameters, the constants filled in."""
        if not self._constants:
            return formula
        constants = self._constants

        def bound(x: Tensor, *tensors: Tensor) -> Tensor:
            remaining = iter(tensors)
            return formula(x, *(next(remaining) if constant is None else constant[0] for constant in constants))

        return bound

    def _forward_formula(self) -> Callable[..., Any]:
        formula = self._bind(self._formula)
        dtype = self._dtype

        def forward(x: Tensor, *tensors: Tensor) -> Tensor:
            return formula(x.float(), *tensors).to(dtype)

        return forward

    def _backward_formula(self, needed: tuple[bool, ...]) -> Callable[..., Any]:
        formula = self._bind(self._formula)
        derivatives = self._derivatives
        dtype = self._dtype
        indices = [index for index, need in enumerate(needed) if need]

        def by_hand(grad: Tensor, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            assert derivatives is not None
            grad, x = grad.float(), x.float()
            grad_x, *grad_params = derivatives(x, *tensors)
            return ((grad * grad_x).to(dtype), *((grad * grad_params[index]).sum() for index in indices))

        def by_transform(grad: Tensor, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            def of_needed(x: Tensor, *chosen: Tensor) -> Tensor:
                full = list(tensors)
                for index, tensor in zip(indices, chosen, strict=True):
                    full[index] = tensor
                return formula(x, *full)

            pullback = torch.func.vjp(of_needed, x.float(), *(tensors[index] for index in indices))[1]
            grads: tuple[Tensor, ...] = pullback(grad.float())
            return (grads[0].to(dtype), *grads[1:])

        return by_hand if derivatives is not None else by_transform

    def _compile(self, function: Callable[..., Any], part: str, inputs: int) -> Callable[..., Any] | None:
        """Compile and run once on an example; None, with one warning for each device type, if that fails."""
        # Dynamo counts a function's compiled versions, up to a limit, by its code object: each kernel gets its own.
        name = f"{self._name}_{part}"
        code = function.__code__.replace(co_name=name)
        own = types.FunctionType(code, function.__globals__, name, function.__defaults__, function.__closure__)
        compiled: Callable[..., Any] = torch.compile(own, dynamic=True)
        shape = _EXAMPLE_SHAPES[self._view]
        shapes: dict[Argument, tuple[int, ...]] = {"scalar": (), "full": shape}
        shapes["channels"] = (shape[1], 1) if self._view == "channels" else shape[-1:]
        given = self._coefficients or [shapes[argument] for argument in self._arguments]
        examples = [torch.ones(shape, dtype=self._dtype, device=self._device) for _ in range(inputs)]
        examples += [torch.full(parameter_shape, 0.5, device=self._device) for parameter_shape in given]
        try:
            with torch.no_grad():
                compiled(*examples)
        except Exception as error:  # whatever stands in the compiler's way: the plain path is slower, not wrong
            if self._device.type not in _warned:
                _warned.add(self._device.type)
                reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
                warnings.warn(
                    f"Activations on {self._device.type} run without compiled kernels, which is slower: {reason}",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return None
        return compiled


@functools.cache
def kernel(
    formula: Formula,
    constants: tuple[Any, ...],
    arguments: tuple[Argument, ...],
    view: View,
    dtype: torch.dtype,
    device_type: str,
) -> Kernel:
    """The kernel of a formula, compiled at its first use in the process; inductor's cache on disk serves the next ones."""
    return Kernel(formula, constants, arguments, view, dtype, torch.device(device_type))
