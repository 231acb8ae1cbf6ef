"""One run of a network that sees every call of a nonlinearity, module or function, and the data flow around it."""

import copy
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch
import torch._jit_internal
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from lpflu_bench.activations.nonlinearities import (
    Kind,
    function_kind,
    kind_by_behaviour,
    module_kind,
    register_nonlinearity,
)
from lpflu_bench.activations.swap.graph import Graph, Recorder, storage
from lpflu_bench.activations.swap.inputs import Inputs

# fmt: off
_POINTWISE = frozenset((
    "add", "sub", "rsub", "mul", "div", "neg", "abs", "sign", "sigmoid", "tanh", "erf", "exp", "expm1", "log", "log1p",
    "log2", "log_sigmoid_forward", "softplus", "pow", "square", "sqrt", "rsqrt", "reciprocal", "clamp", "clamp_min",
    "clamp_max", "maximum", "minimum", "where", "lt", "le", "gt", "ge", "relu", "gelu", "silu", "mish", "hardswish",
    "hardsigmoid", "hardtanh", "leaky_relu", "elu", "celu", "sin", "cos", "atan", "detach", "clone", "alias", "_to_copy",
    "empty_like", "zeros_like",
))
_CURVED = _POINTWISE - {
    "add", "sub", "rsub", "mul", "div", "neg", "lt", "le", "gt", "ge", "detach", "clone", "alias", "_to_copy"
}
_MAIN_OPS = frozenset((
    "relu", "gelu", "silu", "mish", "hardswish", "hardtanh", "leaky_relu", "elu", "celu", "softplus", "prelu",
    "_prelu_kernel", "threshold", "rrelu_with_noise", "hardshrink", "softshrink",
))
# fmt: on
_BOUNDED = frozenset({"sigmoid", "tanh", "erf", "hardsigmoid"})
_TORCH_CALLERS = frozenset(
    module.__file__ for module in (torch.overrides, torch.nn.functional, torch.nn.modules.module, torch._jit_internal)
)


@dataclass(frozen=True)
class Site:
    """The call expression of a module's method that led to a call."""

    owner: str
    """Path of the module whose method it is."""
    code: CodeType
    span: tuple[int, int, int, int]
    """First and last line, first and last column (in bytes), as the compiler gives them."""
    occurrence: int
    """Which of the calls from here within one run of the owner, from 0."""
    direct: bool
    """Whether the expression calls the nonlinearity itself, rather than a helper function that does."""

    def __str__(self) -> str:
        return f"{self.code.co_filename}:{self.span[0]}"


@dataclass
class Call:
    """A call of a nonlinearity."""

    kind: Kind | None
    """None if what it computes is unknown."""
    name: str
    """Class of the module, or name of the function."""
    path: str | None
    """Path of the module; None for a function."""
    original: Callable[[Tensor], Any]
    """What is called, with all arguments but the first given."""
    site: Site | None
    """None where no method of a module was found that makes the call."""
    start: int
    end: int
    """The nodes from start up to end are its own."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_storage: int
    output_storage: int


@dataclass
class Trace:
    """What one run showed."""

    graph: Graph
    calls: list[Call]
    unknown: list[tuple[str, str]]
    """Nonlinear formulas that nothing known explains: the module's path and the formula."""
    written: list[int] = field(default_factory=list)
    """Nodes that change memory in place."""


class UntraceableError(Exception):
    """The network couldn't be run on made-up inputs."""


@dataclass
class _Run:
    """A module that is running."""

    path: str
    module: nn.Module
    start: int
    calls: int
    site: Site | None
    inputs: tuple[int, ...] = ()
    seen: Counter[Any] = field(default_factory=Counter)


class _Functions(TorchFunctionMode):
    def __init__(self, tracer: "_Tracer") -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = function_kind(func)
        if kind is None or not self._tracer.runs:
            return func(*args, **kwargs)
        return self._tracer.function_call(kind, func, args, kwargs, sys._getframe(1))


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, tracer: "_Tracer") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tracer = tracer

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        runs = self._tracer.runs
        self._tracer.recorder.record(func, args, kwargs, result, runs[-1].path if runs else "")
        return result


class _Tracer:
    def __init__(self, network: nn.Module, recorder: Recorder) -> None:
        self.recorder = recorder
        self.runs: list[_Run] = []
        self.calls: list[Call] = []
        # Torch's recurrent cells have their gates built in.
        self._recurrent = {path for path, module in network.named_modules() if isinstance(module, nn.RNNBase)}
        self._handles = []
        for path, module in network.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._enter(path), prepend=True, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._leave, with_kwargs=True))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def _now(self) -> int:
        return len(self.recorder.graph.nodes)

    def _enter(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
            given = [*args, *kwargs.values()]
            run = _Run(path, module, self._now, len(self.calls), None)
            if given and isinstance(given[0], Tensor) and (not module._modules or module_kind(module)):
                run.site = self._site(sys._getframe(1))
                run.inputs = self.recorder.sources(given[0])
            self.runs.append(run)

        return hook

    def _leave(self, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], output: Any) -> None:
        run = self.runs.pop()
        if not isinstance(output, Tensor):
            return
        known = module_kind(module)
        inside = self.calls[run.calls :]
        if known is None:
            if module._modules or not self._elementwise(run, args, kwargs, output):
                return
            ops = [node.op.rstrip("_") for node in self.recorder.graph.nodes[run.start :]]
            if not any(op in _CURVED for op in ops):
                return
            if len(inside) == 1 and self._only_scaled(inside[0], run):
                if inside[0].end - inside[0].start < len(ops):
                    return  # a helper of a known function that does more: the call inside is the place
                known = inside[0].kind
        self.calls[run.calls :] = [
            Call(known, name_of(module), run.path, module, run.site, run.start, self._now, run.inputs,
                 self.recorder.sources(output), storage(_given(args, kwargs)), storage(output))
        ]  # fmt: skip

    def _elementwise(self, run: _Run, args: Sequence[Any], kwargs: Mapping[str, Any], output: Tensor) -> bool:
        given = [*args, *kwargs.values()]
        nodes = self.recorder.graph.nodes[run.start :]
        if (
            len(given) != 1
            or not isinstance(given[0], Tensor)
            or given[0].shape != output.shape
            or not 0 < len(nodes) < 40
        ):
            return False
        own = range(run.start, self._now)
        return all(
            node.op.rstrip("_") in _POINTWISE and all(p in own or p in run.inputs for p in node.parents)
            for node in nodes
        )

    def _only_scaled(self, call: Call, run: _Run) -> bool:
        """Whether what comes after ``call`` inside its module is linear in its result alone."""
        nodes = self.recorder.graph.nodes
        own = range(call.start, call.end)
        return call.start == run.start and all(
            nodes[i].op.rstrip("_") not in _CURVED and not set(nodes[i].parents) & set(run.inputs) - set(own)
            for i in range(call.end, self._now)
        )

    def function_call(self, kind: Kind, func: Any, args: Any, kwargs: dict[str, Any], frame: FrameType) -> Any:
        x = _given(args, kwargs)
        site, start, inputs = self._site(frame), self._now, self.recorder.sources(x)
        output = func(*args, **kwargs)
        self.calls.append(
            Call(kind, func.__name__.rstrip("_"), None, _OutOfPlace(func, args[1:], kwargs), site, start, self._now,
                 inputs, self.recorder.sources(output), storage(x), storage(output))
        )  # fmt: skip
        return output

    def _site(self, frame: FrameType | None) -> Site | None:
        if not self.runs:
            return None
        run = self.runs[-1]
        direct = True
        while frame is not None:
            code = frame.f_code
            if code.co_filename == __file__ or code.co_filename in _TORCH_CALLERS:
                frame = frame.f_back
                continue
            if _is_of(frame, run.module):
                lines = next((p for i, p in enumerate(code.co_positions()) if i == frame.f_lasti // 2), None)
                if lines is None or None in lines:
                    return None
                key = (code, lines)
                run.seen[key] += 1
                return Site(run.path, code, lines, run.seen[key] - 1, direct)  # type: ignore[arg-type]
            direct = False
            frame = frame.f_back
        return None

    def trace(self) -> Trace:
        graph = self.recorder.graph
        for call in self.calls:
            call.kind = call.kind or kind_by_behaviour(call.original)  # not earlier: a run under way would record it
        written = [i for i, node in enumerate(graph.nodes) if node.written is not None]
        return Trace(graph, self.calls, list(self._unknown()), written)

    def _unknown(self) -> Iterator[tuple[str, str]]:
        """Yield what is nonlinear and explained neither by a call nor by a module: a formula written out."""
        covered = [False] * self._now
        for call in self.calls:
            covered[call.start : call.end] = [True] * (call.end - call.start)
            if call.kind is None:
                yield call.path or "", f"{call.name} computes an unknown function"
        for index, node in enumerate(self.recorder.graph.nodes):
            if covered[index] or not node.data or node.owner in self._recurrent:
                continue
            if formula := _formula(self.recorder.graph, index):
                yield node.owner, f"{formula} is written out in its forward"


def name_of(module: nn.Module) -> str:
    """Return a module's class, or the name of the function that it stands for."""
    return module.name if isinstance(module, _OutOfPlace) else type(module).__name__


def _given(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()))


def _is_of(frame: FrameType, module: nn.Module) -> bool:
    code = frame.f_code
    return ("self" in code.co_varnames or "self" in code.co_freevars) and frame.f_locals.get("self") is module


def _formula(graph: Graph, index: int) -> str | None:
    node = graph.nodes[index]
    op = node.op.rstrip("_")
    if op in _MAIN_OPS:
        return op
    if op in ("clamp", "clamp_min") and node.settings[:1] == (0,) and len(node.settings) == 1:
        if _between_layers(graph, index):
            return "clamp(min=0)"
    elif op == "maximum" and not all(any(graph.nodes[i].data for i in operand) for operand in node.operands):
        return "maximum(x, constant)"
    elif op == "mul" and len(node.operands) == 2 and all(node.operands):
        chains = [_pointwise_ancestors(graph, operand) for operand in node.operands]
        bounded = [op for i in chains[0] ^ chains[1] if (op := graph.nodes[i].op.rstrip("_")) in _BOUNDED]
        common = {i for i in chains[0] & chains[1] if not graph.nodes[i].op.startswith(("split", "chunk", "unbind"))}
        if bounded and common:
            return f"x * {bounded[0]}(x)"
    return None


def _pointwise_ancestors(graph: Graph, indices: Sequence[int]) -> set[int]:
    """Return ``indices`` and what they come from by pointwise operations alone, the first other node included."""
    found: set[int] = set()
    waiting = list(indices)
    while waiting and len(found) < 40:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            if graph.nodes[index].op.rstrip("_") in _POINTWISE:
                waiting.extend(graph.nodes[index].parents)
    return found


def _between_layers(graph: Graph, index: int) -> bool:
    """Whether an operation on whole feature maps stands between two layers with weights, as an activation does."""
    weighted = graph.mask(i for i, node in enumerate(graph.nodes) if node.weighted)
    return bool(graph.ancestors[index] & weighted) and bool(graph.descendants[index] & weighted)


@register_nonlinearity
class _OutOfPlace(nn.Module):
    """A function with the arguments of one call, without its in-place form."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        super().__init__()
        self.name = name = function.__name__.rstrip("_")
        homes = (torch.nn.functional, torch)
        self.function = next((getattr(home, name) for home in homes if hasattr(home, name)), function)
        names = self.function.__code__.co_varnames if hasattr(self.function, "__code__") else ()
        self.args = tuple(args)
        self.kwargs = {key: value for key, value in kwargs.items() if key not in ("inplace", "input")}
        if "inplace" in names[1 : len(args) + 1]:
            place = names.index("inplace") - 1
            self.args = (*self.args[:place], False, *self.args[place + 1 :])

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.args, **self.kwargs)  # type: ignore[no-any-return]


@contextmanager
def _untouched(network: nn.Module, training: bool) -> Iterator[None]:
    """Set the mode for a while, and put back all that modules keep of a run (modes, caches of attention biases).

    Modules with children get the mode; layers are in evaluation (no dropout, any batch will do) in either.
    """
    before = [(module, {key: _shallow(value) for key, value in vars(module).items()}) for module in network.modules()]
    for module, _ in before:
        module.training = training and bool(module._modules)
    try:
        yield
    finally:
        for module, attributes in before:
            for key in set(vars(module)) - set(attributes):
                del vars(module)[key]
            for key, value in attributes.items():
                if not key.startswith("_"):  # torch's own registries are put back by functional_call
                    vars(module)[key] = value


def _shallow(value: Any) -> Any:
    return copy.copy(value) if type(value) in (dict, list, set) else value


def run_without_trace(network: nn.Module, inputs: Inputs, *, training: bool = False, meta: bool = True) -> Any:
    """Return what ``network`` makes of ``inputs``; its parameters, buffers, modes and torch's generators stay as they are.

    Args:
        network: any network, also one on the meta device.
        inputs: what it takes.
        training: the mode to run it in.
        meta: run on the meta device, where nothing is computed; else on the CPU.
    """
    state = _state(network, meta)
    return _run(network, inputs, state, training=training, meta=meta)


def _state(network: nn.Module, meta: bool) -> dict[str, Tensor]:
    tensors = [*network.named_parameters(), *network.named_buffers()]
    if meta:
        return {name: tensor.detach().to("meta") for name, tensor in tensors}
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(tensor.shape, generator=generator).to(tensor.dtype)
        if tensor.is_meta
        else tensor.detach().to("cpu", copy=True)
        for name, tensor in tensors
    }


def _run(
    network: nn.Module,
    inputs: Inputs,
    state: dict[str, Tensor],
    *,
    training: bool,
    meta: bool,
    modes: Sequence[Any] = (),
) -> Any:
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_untouched(network, training))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.device("meta" if meta else "cpu"))
        torch.manual_seed(0)
        for mode in modes:
            stack.enter_context(mode)
        return functional_call(network, state, inputs.args, inputs.kwargs)


def trace(network: nn.Module, inputs: Inputs, *, training: bool, meta: bool = True) -> Trace:
    """Run ``network`` once, as :func:`run_without_trace` does, and return what is called where and how data flows.

    Raises:
        UntraceableError: it doesn't run.
    """
    state = _state(network, meta)
    inputs = inputs.on("meta" if meta else "cpu")
    tracer = _Tracer(network, Recorder(state.values(), (inputs.args, inputs.kwargs)))
    try:
        _run(network, inputs, state, training=training, meta=meta, modes=(_Functions(tracer), _Operations(tracer)))
    except Exception as error:
        raise UntraceableError(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}") from error
    finally:
        tracer.remove()
    return tracer.trace()
