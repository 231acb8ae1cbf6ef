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
from torch import Tensor, strided
from torch.compiler import is_compiling

from lpflu_bench.activations import node
from lpflu_bench.activations.formula import Formula
from lpflu_bench.activations.kernel_call import PLAIN_TYPES, call_kernels
from lpflu_bench.activations.torch_private import is_exporting, only_autograd_watches
from lpflu_bench.activations.traced import traced

MODES = ("fused", "eager", "compiled")
ENVIRONMENT_VARIABLE = "LPFLU_BENCH_ACTIVATIONS"

MINIMUM_ELEMENTS = 1 << 16
SMALL_CALLS = 1000

_DTYPES = frozenset({torch.float32, torch.bfloat16, torch.float16})
_LARGEST_SIZE = 2**63 - 1
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
    node.set_smallest(_smallest())


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
    node.set_smallest(_smallest())


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
    if node.apply is not None and (result := node.apply(formula, x, parameters)) is not None:
        return result
    numel = x.numel()
    if (
        _mode == "eager"
        or type(x) not in PLAIN_TYPES
        or x.dtype not in _DTYPES
        or not (x.is_cpu or (x.is_cuda and numel <= _LARGEST_INDEX))
        or x.layout is not strided
        or not only_autograd_watches(x)
        or not (numel >= MINIMUM_ELEMENTS or (_small_kernels and numel) or _worth_a_kernel(numel))
    ):
        return formula.composed(x, *parameters, short=inference and is_exporting())
    if _mode == "compiled":
        return _compiled(formula)(x, *parameters)  # type: ignore[no-any-return]
    found = call_kernels(formula, x, parameters)
    return formula.composed(x, *parameters) if found is None else found


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
    if _small_calls == SMALL_CALLS:
        node.set_smallest(_smallest())
    return False


def _smallest() -> int:
    """The number of elements from which the node may run the kernels that there are."""
    if _mode != "fused":
        return _LARGEST_SIZE
    return 1 if _small_kernels or (_small_kernels is None and _small_calls >= SMALL_CALLS) else MINIMUM_ELEMENTS


node.set_smallest(_smallest())


@functools.cache
def _compiled(formula: Formula) -> Callable[..., Any]:
    return torch.compile(formula.composed, dynamic=True)
