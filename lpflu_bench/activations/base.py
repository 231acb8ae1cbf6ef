"""What every activation module of this package is."""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, TypedDict, Unpack

import torch
from torch import Tensor, nn

from lpflu_bench.activations.formula import require_floating
from lpflu_bench.activations.fused import apply
from lpflu_bench.activations.pointwise import Pointwise
from lpflu_bench.activations.torch_private import fx_path, is_exporting, is_traced_by_fx, record_call
from lpflu_bench.text import nearest


class Options(TypedDict, total=False):
    """What every activation takes besides its settings, so that it fits wherever a network builds its own."""

    inplace: bool
    """Write the result over the input where PyTorch has such a kernel (ReLU, SiLU, Mish...); ignored elsewhere, since the
    fast path keeps the input for backward."""
    device: torch.device | str | None
    """Where parameters and buffers are made."""
    dtype: torch.dtype | None
    """Their dtype; never below float32."""


def _with_checked_numbers(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that refuses, in one line, other than finite numbers for what is annotated as float or int."""
    signature = inspect.signature(init)
    kinds = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if parameter.annotation in (float, int)
    }

    @functools.wraps(init)
    def checked(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        given = {**dict(zip(list(signature.parameters)[1:], args, strict=False)), **kwargs}
        for name, kind in kinds.items():
            if name in given:
                _require_number(type(self).__name__.lower(), name, given[name], kind)
        init(self, *args, **kwargs)

    return checked


def _require_number(function: str, name: str, value: object, kind: type) -> None:
    wanted = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral if kind is int else numbers.Real):
        raise TypeError(f"{function}: {name} must be {wanted}, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{function}: {name} must be finite, got {value}")


class Activation(nn.Module):
    """An activation function as a module.

    A subclass names its :class:`~lpflu_bench.activations.pointwise.Pointwise` and has an attribute for each of the
    function's parameters: a number, or what :meth:`train_parameters` made.

    Parameters and buffers never fall below float32. Under ``.half()``, ``.bfloat16()`` and ``.to(dtype)`` a network's
    weights follow; the few numbers in here don't: a parameter gradient summed over a large tensor overflows float16, and a
    running average in bfloat16 freezes.
    """

    function: ClassVar[Pointwise[...]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the constructor refuse what its annotations do not allow."""
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _with_checked_numbers(cls.__init__)  # type: ignore[method-assign]

    def __init__(self, **options: Unpack[Options]) -> None:
        self._require_options(options)
        dtype = options.get("dtype")
        super().__init__()
        self.inplace = options.get("inplace", False)
        self._device = options.get("device")
        self._dtype = dtype if dtype is not None and dtype.itemsize >= 4 else torch.float32
        self._initial: dict[str, tuple[float, ...]] = {}

    @classmethod
    def _require_options(cls, options: Options) -> None:
        """Raise a one-line error unless all options are known, and of the kinds that they must be."""
        name = cls.__name__.lower()
        if unknown := sorted(set(options) - set(Options.__annotations__)):
            settings = {*inspect.signature(cls).parameters, *Options.__annotations__} - {"options"}
            raise TypeError(f"{name}: {unknown[0]} is no setting of it{nearest(unknown[0], settings)}")
        inplace, device, dtype = options.get("inplace", False), options.get("device"), options.get("dtype")
        if not isinstance(inplace, bool):
            raise TypeError(f"{name}: inplace must be True or False, got {inplace!r}")
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"{name}: dtype must be a floating-point dtype, got {dtype!r}")
        try:
            torch.device("cpu" if device is None else device)
        except (RuntimeError, TypeError) as error:
            raise type(error)(f"{name}: device must be one of PyTorch's, got {device!r}") from error

    def train_parameters(self, num_parameters: int = 1, **values: float | Sequence[float]) -> None:
        """Register parameters that train: vectors [num_parameters] of equal values, or with the values given.

        Raises:
            ValueError: ``num_parameters`` is less than 1.
        """
        if num_parameters < 1:
            name = type(self).__name__.lower()
            raise ValueError(f"{name}: num_parameters must be at least 1, got {num_parameters}")
        self.num_parameters = num_parameters
        for name, value in values.items():
            self._initial[name] = (float(value),) * num_parameters if isinstance(value, (int, float)) else tuple(value)
            empty = torch.empty(len(self._initial[name]), device=self._device, dtype=self._dtype)
            self.register_parameter(name, nn.Parameter(empty))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Give parameters and buffers their initial values, after ``to_empty`` for instance."""
        for name, values in self._initial.items():
            tensor: Tensor = getattr(self, name)
            tensor.copy_(torch.tensor(values, dtype=tensor.dtype).view(tensor.shape))

    def arguments_for(self, x: Tensor) -> tuple[Any, ...]:
        """What the function takes besides x: the attributes with the names of its parameters."""
        return tuple([getattr(self, name) for name in self.function.defaults])

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element by element."""
        function = self.function
        if type(x) is not Tensor or not x.is_floating_point():
            if is_traced_by_fx(x):  # torch.fx records this module as one call
                path = fx_path(x, self)
                return record_call(x, path) if path else record_call(x, function, *self.arguments_for(x))
            require_floating(function.name, x)
        parameters = self.arguments_for(x)
        if self.inplace and function.inplace is not None:
            return function.inplace(x, *parameters)
        native = function.native
        if native is not None and (function.native_in_exports or self.training or not is_exporting()):
            return native(x, *parameters)
        return apply(function, x, *parameters, inference=not self.training)

    def extra_repr(self) -> str:
        """Show the settings: of what trains, the initial value."""
        shown = []
        for name in inspect.signature(type(self)).parameters:
            if name not in (*Options.__annotations__, "options"):
                value = self._initial[name][0] if name in self._initial else getattr(self, name)
                shown.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value!r}")
        return ", ".join([*shown, *(["inplace=True"] if self.inplace else [])])

    def __prepare_scriptable__(self) -> nn.Module:
        """What ``torch.jit.script`` takes in this module's place: its trace, in the mode it is in now."""
        return _Traces(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def at_least_float32(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.is_floating_point() and moved.dtype.itemsize < 4:
                return tensor.to(moved.device, torch.float32)
            return moved

        super()._apply(at_least_float32, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self._initial:  # scalars were 0-d tensors once, which FSDP2 does not take
            value = state_dict.get(prefix + name)
            if isinstance(value, Tensor) and value.ndim == 0 and getattr(self, name).ndim == 1:
                state_dict[prefix + name] = value.reshape(1)
        super()._load_from_state_dict(state_dict, prefix, *args)


class _Traces(nn.Module):
    """A module's traces for float32, which the half precisions are computed in, and for float64: a trace fixes the dtype."""

    def __init__(self, module: Activation) -> None:
        super().__init__()
        x = torch.zeros(1, getattr(module, "num_parameters", 1), 1, 1)
        self.in_float32 = torch.jit.trace(module, x, check_trace=False)  # type: ignore[no-untyped-call]
        self.in_float64 = torch.jit.trace(module, x.double(), check_trace=False)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Run the trace that fits."""
        if x.dtype == torch.float64:
            return self.in_float64(x)  # type: ignore[no-any-return]
        return self.in_float32(x.float()).to(x.dtype)  # type: ignore[no-any-return]
