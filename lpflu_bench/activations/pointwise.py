"""What a function here is: called, it computes itself in the fastest way that fits; as data, it has all its forms."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypedDict, Unpack

from torch import Tensor

from lpflu_bench.activations.formula import Bounds, Derivatives, Formula, Parameter, Plain, require_floating
from lpflu_bench.activations.fused import apply
from lpflu_bench.activations.torch_private import is_traced_by_fx, record_call

P = ParamSpec("P")


class Pointwise(Formula, Generic[P]):
    """A function of a tensor, element by element.

    ``f(x, *parameters)``: x is a floating-point tensor of any shape; a parameter is a number, a tensor with one element,
    or a vector with one value for each channel (dimension 1 of x). The result has the shape, dtype and strides of x, and
    is computed in at least float32. One pass forward, one backward; x alone is kept.

    Args:
        plain: See :class:`~lpflu_bench.activations.formula.Formula`, also for the forms.
        native: PyTorch's own function, where it has one that is fast: what a call runs.
        native_in_exports: Whether graphs exported in evaluation have it too, as one operator of ONNX; False where ONNX Runtime
            takes longer for that than for the short form (``benchmarks/onnx_forms.py`` measures both).
        inplace: The same, writing over x.
        **forms: The other fields of a formula.
    """

    def __init__(
        self,
        plain: Plain,
        *,
        native: Plain | None = None,
        native_in_exports: bool = True,
        inplace: Plain | None = None,
        **forms: Any,
    ) -> None:
        super().__init__(plain, **forms)
        functools.update_wrapper(self, plain)
        self._smooth: Pointwise[...] | None = None  # whose leaky form this is
        self.native = native
        self.native_in_exports = native_in_exports
        self.inplace = inplace

    def __call__(self, x: Tensor, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Compute the function.

        Raises:
            TypeError: x is not a floating-point tensor, or a parameter is missing, unknown or nothing that a parameter can be.
            ValueError: A parameter's shape does not fit x.
        """
        complete = not kwargs and len(args) == len(self.defaults)
        parameters = args if complete else self.completed(args, kwargs)
        if is_traced_by_fx(x):
            return record_call(x, self, *parameters)
        require_floating(self.name, x)
        self.require_parameters(parameters)
        return apply(self, x, *parameters) if self.native is None else self.native(x, *parameters)

    @functools.cached_property
    def leaky(self) -> "Pointwise[...]":
        """(1 - a) S(x) + a x of this function S, with all forms that S has; the parameters are a and those of S."""
        return leaky_form(self)

    def __reduce__(self) -> Any:
        if self._smooth is not None:
            return getattr, (self._smooth, "leaky")
        return self.__qualname__  # type: ignore[attr-defined]

    def __deepcopy__(self, memo: Any) -> "Pointwise[P]":
        return self


class Forms(TypedDict, total=False):
    """The arguments of :class:`Pointwise` besides the formula."""

    native: Plain | None
    native_in_exports: bool
    inplace: Plain | None
    bounds: Mapping[str, Bounds]
    coefficients: Mapping[str, int]
    elementwise: tuple[str, ...]
    kernel: Plain | None
    derivatives: Derivatives | None
    short: Plain | None


def pointwise(**forms: Unpack[Forms]) -> Callable[[Callable[Concatenate[Tensor, P], Tensor]], Pointwise[P]]:
    """Make a function of a formula written in plain tensor code; a decorator. See :class:`Pointwise` for the arguments."""
    return lambda plain: Pointwise(plain, **forms)


def leaky_form(smooth: Pointwise[...]) -> Pointwise[...]:
    """(1 - a) S(x) + a x of a smooth S, with all forms that S has."""
    fast = smooth.kernel or smooth.plain
    brief = smooth.short or smooth.plain
    by_hand = smooth.derivatives

    def plain(x: Tensor, a: Parameter, *parameters: Any) -> Tensor:
        return (1 - a) * smooth.plain(x, *parameters) + a * x

    def kernel(x: Tensor, a: Tensor, *parameters: Any) -> Tensor:
        return a * x + (1 - a) * fast(x, *parameters)

    def derivatives(x: Tensor, a: Tensor, *parameters: Any) -> tuple[Tensor, ...]:
        assert by_hand is not None
        grad_x, *grad_params = by_hand(x, *parameters)
        return a + (1 - a) * grad_x, x - fast(x, *parameters), *((1 - a) * each for each in grad_params)

    def short(x: Tensor, a: Parameter, *parameters: Any) -> Tensor:
        return (1 - a) * brief(x, *parameters) + a * x

    plain.__name__ = plain.__qualname__ = f"leaky_{smooth.name}"
    leaky: Pointwise[...] = Pointwise(
        plain,
        bounds=smooth.bounds,
        coefficients=smooth.coefficients,
        kernel=kernel,
        derivatives=None if by_hand is None else derivatives,
        short=short,
        defaults={"a": 0.01, **smooth.defaults},
    )
    leaky._smooth = smooth
    return leaky
