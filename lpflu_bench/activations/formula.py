"""A pointwise function as data: its formula, the forms of it that kernels and exported graphs use, its leaky form."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lpflu_bench.activations.numerics import shortly

Parameter = Tensor | float
Plain = Callable[..., Tensor]
Derivatives = Callable[..., tuple[Tensor, ...]]
Bounds = tuple[float, float | None]


@dataclass(eq=False)
class Formula:
    """What is known of one pointwise function ``f(x, *parameters)``.

    Attributes:
        plain: The formula as plain tensor code on float32 or float64; parameters are numbers or broadcast against x.
        bounds: Parameter -> (low, high): where it is used, it is clamped, and its gradient is let through.
        coefficients: Parameter -> length, for those that are vectors of coefficients shared by all elements.
        elementwise: Parameters that have a value for each element of x, or one number.
        kernel: Another way to compute it, in float32, that kernels use.
        derivatives: (df/dx, df/dparameter, ...) for kernels; without it they take torch.func.vjp of the formula.
        short: Another way with few operations, for exported graphs in evaluation, to a float32 error of 1e-6 (1 + |x|);
            without it the formula with the short forms of its pieces (:func:`~lpflu_bench.activations.numerics.shortly`).
        name: As in error messages.
        defaults: Parameter -> default value; taken from the formula's signature.
        limits: The bounds of the parameters, in order; made from ``bounds``.
    """

    plain: Plain
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    coefficients: Mapping[str, int] = field(default_factory=dict)
    elementwise: tuple[str, ...] = ()
    kernel: Plain | None = None
    derivatives: Derivatives | None = None
    short: Plain | None = None
    name: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    limits: tuple[Bounds | None, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.name or self.plain.__name__
        if not self.defaults:
            parameters = list(inspect.signature(self.plain).parameters.values())[1:]
            self.defaults = {parameter.name: parameter.default for parameter in parameters}
        # Not a cached property: its lock breaks the graph of a torch.compile that comes before the first eager call.
        self.limits = tuple(self.bounds.get(name) for name in self.defaults)

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(self.defaults)

    def completed(self, given: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """The parameters in order, the defaults filled in.

        Raises:
            TypeError: One is missing, unknown or given twice.
        """
        if len(given) > len(self.defaults):
            raise TypeError(f"{self.name}: takes x and at most {len(self.defaults)} parameters, got {len(given)}")
        values = {**self.defaults, **dict(zip(self.defaults, given, strict=False))}
        for name, value in named.items():
            if name not in values or name in self.settings[: len(given)]:
                raise TypeError(f"{self.name}: {name} is {'given twice' if name in values else 'no parameter of it'}")
            values[name] = value
        for name, value in values.items():
            if value is inspect.Parameter.empty:
                raise TypeError(f"{self.name}: the parameter {name} is missing")
        return tuple(values.values())

    def require_parameters(self, parameters: tuple[Any, ...]) -> None:
        """Raise a one-line TypeError unless all parameters are of kinds that a formula can take."""
        for (name, default), value in zip(self.defaults.items(), parameters, strict=True):
            if name not in self.coefficients:
                require_parameter(self.name, name, value, default)

    def composed(self, x: Tensor, *parameters: Any, short: bool = False) -> Tensor:
        """The formula operation by operation, in at least float32, with the dtype and shape of ``x``.

        This is what torch.export, ONNX, torch.func and double backward see.
        """
        wide, prepared = widened(x), self.prepared(x, parameters)
        if short and wide.dtype is torch.float32:
            return shortly(self.short or self.plain, wide, *prepared).to(x.dtype)
        return self.plain(wide, *prepared).to(x.dtype)

    def prepared(self, x: Tensor, parameters: tuple[Any, ...]) -> list[Any]:
        """The parameters within their bounds, shaped to broadcast against x.

        Raises:
            ValueError: A shape does not fit x.
        """
        return [self._prepared(index, parameter, x) for index, parameter in enumerate(parameters)]

    def _prepared(self, index: int, parameter: Any, x: Tensor) -> Any:
        limits = self.limits[index]
        if limits is not None:
            parameter = bounded(parameter, *limits)
        name = self.settings[index]
        if name in self.coefficients:
            return coefficients(self.name, name, parameter, self.coefficients[name])
        if not isinstance(parameter, Tensor):
            return parameter
        if name in self.elementwise:
            return elementwise(self.name, name, parameter, x)
        return channelwise(self.name, name, parameter, x)


def require_floating(name: str, x: Any) -> None:
    """Raise a one-line TypeError unless ``x`` is a real floating-point tensor."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        given = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name}: x must be a floating-point tensor, got {given}")


_NUMBERS = (int, float, torch.SymInt, torch.SymFloat)


def require_parameter(function: str, name: str, value: Any, default: Any) -> None:
    """Raise a one-line TypeError unless ``value`` is a number or real floating-point tensor, or a word where the default is."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            return
    elif isinstance(value, str if isinstance(default, str) else _NUMBERS) and not isinstance(value, bool):
        return
    given = value.dtype if isinstance(value, Tensor) else type(value).__name__
    wanted = "a string" if isinstance(default, str) else "a number or a floating-point tensor"
    raise TypeError(f"{function}: {name} must be {wanted}, got {given}")


def widened(x: Tensor) -> Tensor:
    """Return ``x`` in the dtype its function is computed in: float32 for the half precisions, else its own.

    Several formulas fail silently in float16: PFLU halves its output from |x| = 256.
    """
    return x.float() if x.dtype.itemsize < 4 else x


def bounded(parameter: Parameter, low: float, high: float | None = None) -> Parameter:
    """Clamp a trained parameter where it is used, and let the gradient through unchanged.

    The gradient is the one at the clamped value. A plain clamp would give a parameter that an optimizer step carried
    over the bound a gradient of zero, and so leave it there for good; this one comes back as soon as the gradient
    points inside.
    """
    if isinstance(parameter, Tensor):
        return parameter + (parameter.clamp(low, high) - parameter).detach()
    return max(parameter, low) if high is None else min(max(parameter, low), high)


def channelwise(function: str, name: str, parameter: Tensor, x: Tensor) -> Tensor:
    """Shape a parameter so that it broadcasts: a vector is one value for each channel, dimension 1 of ``x``.

    Raises:
        ValueError: Its shape does not fit ``x``.
    """
    if parameter.numel() == 1:
        return parameter.reshape(())
    channels = x.shape[1] if x.ndim > 1 else None
    if parameter.ndim == 1 and channels == parameter.numel():
        return parameter.view(-1, *[1] * (x.ndim - 2))
    raise ValueError(
        f"{function}: {name} has shape {list(parameter.shape)}, but x of shape {list(x.shape)} has "
        f"{'no channel dimension' if channels is None else f'{channels} channels'}"
    )


def elementwise(function: str, name: str, parameter: Tensor, x: Tensor) -> Tensor:
    """Return a parameter that has a value for each element, or one, as it is.

    Raises:
        ValueError: It has other values than that.
    """
    if parameter.numel() != 1 and parameter.shape != x.shape:
        given, wanted = list(parameter.shape), list(x.shape)
        raise ValueError(f"{function}: {name} has shape {given}, but must have one value or x's shape {wanted}")
    return parameter


def coefficients(function: str, name: str, parameter: Any, length: int) -> Tensor:
    """Return a vector of coefficients as it is.

    Raises:
        ValueError: It is not a tensor of that length.
    """
    if not isinstance(parameter, Tensor) or parameter.shape != (length,):
        given = list(parameter.shape) if isinstance(parameter, Tensor) else type(parameter).__name__
        raise ValueError(f"{function}: {name} must be a tensor of shape [{length}], got {given}")
    return parameter
