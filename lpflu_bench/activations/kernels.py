"""Compiled kernels of the fast path: one pass forward, one pass backward, for any pointwise formula.

Inductor writes them, as vectorised C++ on a CPU and Triton on a GPU. A kernel sees the tensor's memory as one line (or as
``[outer, channels, inner]`` or ``[rows, channels]`` when a parameter has a value for each channel), with dynamic sizes, so
that neither a new shape nor another memory format compiles again. The backward kernel recomputes the formula's derivatives
from the input, with the sums of the parameters' gradients in the same loop.
"""

import functools
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from lpflu_bench.activations import node
from lpflu_bench.activations.formula import Formula
from lpflu_bench.activations.torch_private import Compiled, compile_directly

View = Literal["line", "channels", "rows"]  # [numel], [outer, channels, inner], [rows, channels]
# What a tensor parameter is to its formula: one number, one for each channel, one for each element, or a vector of
# coefficients.
Argument = Literal["scalar", "channels", "full", "coefficients"]

_EXAMPLE_SHAPES: dict[tuple[View, bool], tuple[int, ...]] = {
    ("line", False): (1 << 20,),
    ("line", True): (1 << 12,),
    ("channels", False): (8, 128, 1024),
    ("channels", True): (4, 16, 64),
    ("rows", False): (8192, 128),
    ("rows", True): (256, 16),
}
_CHECK_SHAPES: dict[View, tuple[int, ...]] = {"line": (77,), "channels": (3, 5, 7), "rows": (11, 7)}
_SUMMED: dict[View, tuple[int, ...]] = {"line": (0,), "channels": (0, 2), "rows": (0,)}

_warned: set[str] = set()

Pass = Callable[[list[Any]], Sequence[Tensor]]
"""A compiled pass: takes ``[*sizes of the view, *tensors]``, and returns its results."""


class Kernel:
    """The forward and backward passes of one formula, for one dtype, device and way of viewing the memory.

    Args:
        formula: The function.
        constants: The parameters that are not tensors, at their places; None where a tensor comes. Empty if all are.
        arguments: For each tensor parameter what it is to the formula.
        view: How the input's memory is seen.
        dtype: The input's dtype; arithmetic is in float32, and so are the parameters.
        device: The device to compile on.
        small: For at most :data:`SMALL` elements, on a CPU.
        threads: CPU threads of a kernel that is not for a small tensor.
    """

    def __init__(
        self,
        formula: Formula,
        constants: tuple[Any, ...],
        arguments: tuple[Argument, ...],
        view: View,
        dtype: torch.dtype,
        device: torch.device,
        small: bool,
        threads: int,
    ) -> None:
        self._formula = formula
        self._constants = constants
        self._arguments = arguments
        self._view = view
        self._dtype = dtype
        self._device = device
        self._small = small
        self._threads = 1 if small else threads
        kinds = iter(arguments)
        order = [None if constant is not None else next(kinds) for constant in constants] if constants else arguments
        self._limits = tuple(
            limit for limit, kind in zip(formula.limits, order, strict=True) if kind is not None
        )  # of the tensors
        self._backwards: dict[tuple[bool, ...], Pass | None] = {}
        self.forward: Pass | None = self._compile(self._forward_function(), 1, "forward")
        """The function's values; None where it did not compile."""
        self._offer(self.forward, 1)

    def backward(self, needed: tuple[bool, ...]) -> Pass | None:
        """The compiled backward pass ``[*sizes, grad, x, *tensors] -> (grad of x, grads of the needed parameters)``.

        Args:
            needed: For each tensor parameter, whether its gradient is wanted.

        Returns:
            The pass, or None where it did not compile.
        """
        if needed not in self._backwards:
            self._backwards[needed] = self._compile(self._backward_function(needed), 2, "backward")
            if not any(needed):
                self._offer(self._backwards[needed], 2)
        return self._backwards[needed]

    def _offer(self, compiled: Pass | None, inputs: int) -> None:
        """Give a pass to the C++ node if it is of the usual kind."""
        usual = self._view == "line" and not self._constants and set(self._arguments) <= {"scalar"}
        if compiled is not None and usual and self._device.type == "cpu":
            key = node.Key(self._formula, len(self._arguments), self._dtype, self._small, self._threads)
            shape = _CHECK_SHAPES["line"]
            node.add(key, compiled, [*shape, *self._examples(shape, inputs)], backward=inputs == 2)

    def _bind(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A form of the formula as a function of x and the tensor parameters, the constants filled in."""
        if not self._constants:
            return function
        constants = self._constants

        def bound(x: Tensor, *tensors: Tensor) -> Any:
            remaining = iter(tensors)
            return function(x, *(next(remaining) if constant is None else constant[0] for constant in constants))

        return bound

    def _broadcast(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The parameters within their bounds, shaped for the view."""
        shaped = []
        for tensor, argument, limits in zip(tensors, self._arguments, self._limits, strict=True):
            if limits is not None:
                tensor = tensor.clamp(*limits)
            shaped.append(tensor.view(-1, 1) if argument == "channels" and self._view == "channels" else tensor)
        return shaped

    def _forward_function(self) -> Callable[..., tuple[Tensor, ...]]:
        formula = self._bind(self._formula.kernel or self._formula.plain)

        def forward(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            return (formula(x.float(), *self._broadcast(tensors)).to(self._dtype),)

        return forward

    def _backward_function(self, needed: tuple[bool, ...]) -> Callable[..., tuple[Tensor, ...]]:
        indices = [index for index, need in enumerate(needed) if need]
        by_hand = self._formula.derivatives
        formula = self._bind(self._formula.kernel or self._formula.plain)

        def from_derivatives(grad: Tensor, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            assert by_hand is not None
            grad = grad.float()
            grad_x, *grad_params = self._bind(by_hand)(x.float(), *self._broadcast(tensors))
            grad_params = self._of_tensors(grad_params)
            return (grad * grad_x).to(self._dtype), *(self._summed(grad * grad_params[i], i) for i in indices)

        def from_transform(grad: Tensor, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            shaped = self._broadcast(tensors)

            def of_needed(x: Tensor, *chosen: Tensor) -> Tensor:
                full = list(shaped)
                for index, tensor in zip(indices, chosen, strict=True):
                    full[index] = tensor
                return formula(x, *full)  # type: ignore[no-any-return]

            pullback = torch.func.vjp(of_needed, x.float(), *(shaped[index] for index in indices))[1]
            grad_x, *grad_params = pullback(grad.float())
            return grad_x.to(self._dtype), *(each.reshape(-1) for each in grad_params)

        return from_derivatives if by_hand is not None else from_transform

    def _of_tensors(self, grad_params: list[Tensor]) -> list[Tensor]:
        """Leave out what belongs to the constants."""
        if not self._constants:
            return grad_params
        return [grad for grad, constant in zip(grad_params, self._constants, strict=True) if constant is None]

    def _summed(self, grad: Tensor, index: int) -> Tensor:
        if self._arguments[index] == "channels":
            return grad.sum(_SUMMED[self._view])
        return grad.sum().reshape(1)

    def _compile(self, function: Callable[..., tuple[Tensor, ...]], inputs: int, part: str) -> Pass | None:
        """Compile, and check on random numbers; None, with one warning for each device type, if that fails."""
        try:
            with torch.no_grad(), torch.inference_mode(False):
                compiled = self._compiled(function, inputs, part)
                self._check(compiled, function, inputs)
                return compiled
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

    def _compiled(self, function: Callable[..., tuple[Tensor, ...]], inputs: int, part: str) -> Compiled:
        examples = self._examples(_EXAMPLE_SHAPES[self._view, self._small], inputs)
        try:
            return compile_directly(function, examples, self._threads)
        except (AttributeError, ImportError, KeyError, TypeError, AssertionError):
            return self._compiled_by_dynamo(function, part)

    def _compiled_by_dynamo(self, function: Callable[..., tuple[Tensor, ...]], part: str) -> Compiled:
        """The public way, with guards: 20 us a call more. For a PyTorch without the names of :mod:`torch_private`."""
        name = f"{self._formula.name}_{self._view}_{part}"
        # Dynamo counts a function's compiled versions, up to a limit, by its code object: each kernel gets its own.
        code = function.__code__.replace(co_name=name)
        own = types.FunctionType(code, function.__globals__, name, function.__defaults__, function.__closure__)
        compiled = torch.compile(own, dynamic=True)
        count = len(_CHECK_SHAPES[self._view])

        def call(given: list[Any]) -> Sequence[Tensor]:
            sizes, tensors = given[:count], given[count:]
            strides = [functools.reduce(int.__mul__, sizes[axis + 1 :], 1) for axis in range(count)]
            large = [tensor.as_strided(sizes, strides) for tensor in tensors[: len(tensors) - len(self._arguments)]]
            rest = [
                tensor.as_strided(sizes, strides) if kind == "full" else tensor.detach()
                for tensor, kind in zip(tensors[len(large) :], self._arguments, strict=True)
            ]
            return compiled(*large, *rest)  # type: ignore[no-any-return]

        return call

    def _examples(self, shape: tuple[int, ...], inputs: int) -> list[Tensor]:
        """Distinct random tensors: the same one twice would be merged into one input."""
        generator = torch.Generator().manual_seed(0)
        channels = shape[1] if self._view != "line" else 1
        lengths = list(self._formula.coefficients.values())
        shapes: dict[Argument, tuple[int, ...]] = {"scalar": (1,), "full": shape, "channels": (channels,)}
        examples = [torch.randn(shape, generator=generator).to(self._device, self._dtype) for _ in range(inputs)]
        for argument in self._arguments:
            size = (lengths.pop(0),) if argument == "coefficients" else shapes[argument]
            examples.append((0.25 + 0.5 * torch.rand(size, generator=generator)).to(self._device))
        return examples

    def _check(self, compiled: Pass, function: Callable[..., tuple[Tensor, ...]], inputs: int) -> None:
        """Hold a kernel to the function that it was compiled from: private interfaces may change in silence."""
        shape = _CHECK_SHAPES[self._view]
        examples = self._examples(shape, inputs)
        found = compiled([*shape, *examples])
        tolerance = 1e-4 if self._dtype is torch.float32 else 4 * torch.finfo(self._dtype).eps
        for each, expected in zip(found, function(*examples), strict=True):
            if not torch.allclose(each.float().flatten(), expected.float().flatten(), tolerance, tolerance):
                raise RuntimeError(f"the compiled kernel of {self._formula.name} differs from its formula")


@functools.cache
def kernel(
    formula: Formula,
    constants: tuple[Any, ...],
    arguments: tuple[Argument, ...],
    view: View,
    dtype: torch.dtype,
    device: torch.device,
    small: bool,
    threads: int,
) -> Kernel:
    """The kernel of a formula, compiled at its first use in the process; inductor's cache on disk serves the next ones."""
    return Kernel(formula, constants, arguments, view, dtype, device, small, threads)
