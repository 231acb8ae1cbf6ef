"""The names of PyTorch used here that are not public, in one place; a test names each one that disappears."""

import ctypes
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.fx
from torch import Tensor
from torch._C import _get_tracing_state, _has_storage, _len_torch_dispatch_stack
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

PRIVATE_NAMES = (
    "torch._C._are_functorch_transforms_active",
    "torch._C._has_storage",
    "torch._C._len_torch_dispatch_stack",
    "torch.Tensor._is_zerotensor",
    "torch._C._functorch.peek_interpreter_stack",
    "torch._C._FunctionBase.apply",
    "torch._C._get_tracing_state",
    "torch.autograd.Function._backward_cls",
    "torch.autograd.forward_ad._current_level",
    "torch._dynamo.config.recompile_limit",
    "torch._foreach_copy_",
    "torch._foreach_lerp_",
    "torch._guards.TracingContext",
    "torch._guards.tracing",
    "torch._inductor.compile_fx.compile_fx_inner",
    "torch._inductor.config.cpp.threads",
    "torch._inductor.config.fx_graph_cache",
    "torch._inductor.config.size_asserts",
    "torch._inductor.cpp_builder.CppBuilder.get_command_line",
    "torch._inductor.cpp_builder.CppTorchOptions",
    "torch._inductor.decomposition.select_decomp_table",
    "torch._inductor.output_code.CompiledFxGraph.__call__",
    "torch._inductor.runtime.cache_dir_utils.cache_dir",
    "torch._inductor.virtualized.V.set_fake_mode",
    "torch.fx.experimental.proxy_tensor.make_fx",
    "torch.nn.Module._apply",
    "torch.nn.Module._load_from_state_dict",
)
"""What this module and the rest of the package use, so that a test can say which one a new PyTorch lacks."""


def only_autograd_watches(x: Tensor) -> bool:
    """Return whether ``x`` is its memory, and nothing but autograd sees it: no transform, mode, trace or forward-mode AD."""
    return (
        _has_storage(x)  # not so the batched gradients of ``torch.autograd.grad(is_grads_batched=True)``
        and not (x.is_neg() or x._is_zerotensor())  # whose memory does not hold their values
        and _len_torch_dispatch_stack() == 0
        and peek_interpreter_stack() is None
        and _get_tracing_state() is None
        and forward_ad._current_level < 0
    )


def without_checks(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """The ``apply`` of a function with ``forward(ctx, ...)`` that runs only where :func:`only_autograd_watches`.

    Forward and backward are called by C++, without the Python around them in which PyTorch looks for transforms, vjp and boxed
    gradients: some 10 us less where the processor's caches are cold.
    """
    function._backward_cls.apply = function.backward  # type: ignore[attr-defined]
    return super(torch.autograd.Function, function).apply  # type: ignore[misc, no-any-return]


def is_transformed() -> bool:
    """Return whether a functorch transform or forward-mode AD is under way."""
    # The first name, unlike the one above, is among those that torch.compile evaluates while tracing.
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_exporting() -> bool:
    """Return whether torch.export, the ONNX exporter or TorchScript's tracer is recording a graph."""
    return _get_tracing_state() is not None or torch.compiler.is_exporting()


def is_traced_by_fx(x: Any) -> bool:
    """Return whether ``x`` stands for a tensor in a torch.fx trace."""
    return isinstance(x, torch.fx.Proxy)


def fx_path(x: Any, module: torch.nn.Module) -> str:
    """Return the path of a module in the network that torch.fx is tracing with the proxy ``x``; "" for the network."""
    return str(x.tracer.path_of_module(module))


def record_call(x: Any, target: Any, *parameters: Any) -> Tensor:
    """Let torch.fx record one call: of a module by its path, or of a function with ``x`` and parameters."""
    kind = "call_module" if isinstance(target, str) else "call_function"
    return x.tracer.create_proxy(kind, target, (x, *parameters), {})  # type: ignore[no-any-return]


@torch.no_grad()
def copy_each(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy ``sources`` into ``targets``, in one call for all."""
    torch._foreach_copy_(list(targets), list(sources))


@torch.no_grad()
def lerp_each(targets: Sequence[Tensor], ends: Sequence[Tensor], weight: float) -> None:
    """Move each target towards its end by ``weight``, in one call for all."""
    torch._foreach_lerp_(list(targets), list(ends), weight)


def allow_compiled_versions(count: int) -> None:
    """Let dynamo keep so many compiled versions of the functions of one class, of which it keeps 8 by default."""
    from torch._dynamo import config

    config.recompile_limit = max(config.recompile_limit, count)


Compiled = Callable[[list[Any]], Sequence[Tensor]]


def compile_directly(function: Callable[..., tuple[Tensor, ...]], examples: Sequence[Tensor], threads: int) -> Compiled:
    """Compile a function with inductor and return the innermost callable: no guards, no wrapper, 2 us a call.

    Without guards nothing checks what it is called with: dtypes, devices and the memory's layout must be those of the
    examples, and each dimension that is larger than 1 there is dynamic.

    Args:
        function: Takes tensors, returns a tuple of tensors, changes nothing in place.
        examples: What it is traced with. Dimensions of the same size are one and the same size at each call.
        threads: CPU threads of its loops.

    Returns:
        A callable of a list, which it empties: first the sizes in the order in which they first occur in the examples'
        shapes, then the tensors. Of a tensor only the memory is used, its shape is not.
    """
    from torch._guards import TracingContext, tracing
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx_inner
    from torch._inductor.decomposition import select_decomp_table
    from torch._inductor.virtualized import V
    from torch.fx.experimental.proxy_tensor import make_fx

    graph = make_fx(function, decomposition_table=select_decomp_table(), tracing_mode="symbolic")(*examples)
    inputs = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
    fake_mode = inputs[0].fake_mode
    sizes: dict[Any, torch.SymInt] = {}
    for tensor in inputs:
        for size in tensor.shape:
            if isinstance(size, torch.SymInt) and size.node.expr.free_symbols:  # else the formula fixed it
                sizes.setdefault(size.node.expr, size)
    with graph.graph.inserting_before(next(iter(graph.graph.nodes))):
        for index, size in enumerate(sizes.values()):
            graph.graph.placeholder(f"size_{index}").meta["val"] = size
    graph.recompile()
    # The cache of whole graphs cannot take these, and PyTorch 2.11 says so at length; that of their compiled code can.
    settings = {"cpp.threads": threads, "size_asserts": False, "fx_graph_cache": False}
    with tracing(TracingContext(fake_mode)), V.set_fake_mode(fake_mode), config.patch(settings):
        compiled = compile_fx_inner(graph, [*sizes.values(), *inputs], is_inference=True)
    return getattr(compiled, "current_callable", None) or compiled


def c_function(compiled: Compiled, example: list[Any]) -> tuple[int, list[int]]:
    """Return the C function which is all that a callable of :func:`compile_directly` runs on a CPU.

    Args:
        compiled: The callable, with one result.
        example: A list to call it with, without equal sizes.

    Returns:
        The function's address, and what each of its arguments is: an index into [*tensors, result, *sizes].

    Raises:
        AttributeError, TypeError, ValueError: It is made otherwise: of several functions, or not of C++.
    """
    names = getattr(compiled, "__func__", compiled).__globals__
    [name] = [name for name in names if name.startswith("cpp_fused")]
    function, called = names[name], []

    def record(*arguments: Any) -> Any:
        called.append(arguments)
        return function(*arguments)

    names[name] = record
    try:
        [result] = compiled(list(example))
    finally:
        names[name] = function
    tensors = [given for given in (*example, result) if isinstance(given, Tensor)]
    sizes = [given for given in example if not isinstance(given, Tensor)]
    known = [*(tensor.data_ptr() for tensor in tensors), *sizes]
    [arguments] = called
    order = [known.index(given.data_ptr() if isinstance(given, Tensor) else given) for given in arguments]
    return ctypes.cast(ctypes.CDLL(function.__self__.__file__).kernel, ctypes.c_void_p).value or 0, order


def compile_command(source: Path, library: Path) -> list[str]:
    """Return the command that compiles C++ with PyTorch's headers into a shared library, for any processor of this kind."""
    from torch._inductor.cpp_builder import CppBuilder, CppTorchOptions

    options = CppTorchOptions(min_optimize=True)
    builder = CppBuilder(library.stem, str(source), BuildOption=options, output_dir=str(library.parent))
    # A cache can be shared by machines: "native" code of the newest is an illegal instruction to the others.
    return [word for word in shlex.split(builder.get_command_line()) if word != "-march=native"]


def compile_cache() -> Path:
    """Return the folder in which inductor keeps what it compiles."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    return Path(cache_dir())
