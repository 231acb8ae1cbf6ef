"""One run of a network that sees every call of a nonlinearity, module or function, and the data flow around it."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch
import torch._jit_internal
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from lpflu_bench.activations.nonlinearities import (
    Kind,
    function_kind,
    kind_by_behaviour,
    module_kind,
    register_nonlinearity,
)
from lpflu_bench.activations.swap.formulas import CURVED, POINTWISE, formulas
from lpflu_bench.activations.swap.graph import Graph, Recorder, storage
from lpflu_bench.activations.swap.inputs import Inputs
from lpflu_bench.activations.swap.run import copied_state, run_network

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
    original: nn.Module
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


class UntraceableError(Exception):
    """The network couldn't be run on made-up inputs."""


def failure(error: Exception) -> UntraceableError:
    """Return what a network raised about made-up inputs, in one line."""
    return UntraceableError(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


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
        if known is None:
            if module._modules or not self._elementwise(run, args, kwargs, output):
                return
            inside = self.calls[run.calls :]
            if len(inside) == 1 and self._only_scaled(inside[0], run):
                if inside[0].end - inside[0].start < self._now - run.start:
                    return  # a helper of a known function that does more: the call inside is the place
                known = inside[0].kind
        self.calls[run.calls :] = [
            Call(known, name_of(module), run.path, module, run.site, run.start, self._now, run.inputs,
                 self.recorder.sources(output), storage(_given(args, kwargs)), storage(output))
        ]  # fmt: skip

    def _elementwise(self, run: _Run, args: Sequence[Any], kwargs: Mapping[str, Any], output: Tensor) -> bool:
        """Whether a module without children computed a curve of its one tensor and of nothing else."""
        given = [*args, *kwargs.values()]
        nodes = self.recorder.graph.nodes[run.start :]
        if len(given) != 1 or not isinstance(given[0], Tensor) or given[0].shape != output.shape or len(nodes) >= 40:
            return False
        own = {*range(run.start, self._now), *run.inputs}
        pointwise = all(node.op in POINTWISE and own.issuperset(node.parents) for node in nodes)
        return pointwise and any(node.op in CURVED for node in nodes)

    def _only_scaled(self, call: Call, run: _Run) -> bool:
        """Whether what comes after ``call`` inside its module is linear in its result alone."""
        after = self.recorder.graph.nodes[call.end :]
        return call.start == run.start and all(
            node.op not in CURVED and not set(node.parents) & set(run.inputs) for node in after
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
        unknown = [
            (call.path or "", f"{call.name} computes an unknown function") for call in self.calls if not call.kind
        ]
        explained = {index for call in self.calls for index in range(call.start, call.end)}
        explained |= {index for index, node in enumerate(graph.nodes) if node.owner in self._recurrent}
        return Trace(graph, self.calls, [*unknown, *formulas(graph, explained)])


def name_of(module: nn.Module) -> str:
    """Return a module's class, or the name of the function that it stands for."""
    return module.name if isinstance(module, _OutOfPlace) else type(module).__name__


def _given(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()))


def _is_of(frame: FrameType, module: nn.Module) -> bool:
    code = frame.f_code
    return ("self" in code.co_varnames or "self" in code.co_freevars) and frame.f_locals.get("self") is module


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


def trace(network: nn.Module, inputs: Inputs, *, training: bool, meta: bool = True) -> Trace:
    """Run ``network`` once, as :func:`run_without_trace` does, and return what is called where and how data flows.

    Raises:
        UntraceableError: it doesn't run.
    """
    state = copied_state(network, meta)
    inputs = inputs.on("meta" if meta else "cpu")
    tracer = _Tracer(network, Recorder(state.values(), (inputs.args, inputs.kwargs)))
    try:
        run_network(
            network, inputs, state, training=training, meta=meta, modes=(_Functions(tracer), _Operations(tracer))
        )
    except Exception as error:
        raise failure(error) from error
    finally:
        tracer.remove()
    return tracer.trace()
