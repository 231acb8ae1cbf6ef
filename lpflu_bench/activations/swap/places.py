"""A module of its own for every place of a network that calls a main nonlinearity, which still computes the same."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from lpflu_bench.activations.nonlinearities import is_main_nonlinearity, module_kind
from lpflu_bench.activations.swap.inputs import SAY_INPUTS, Inputs, candidates, small_images
from lpflu_bench.activations.swap.placement import Role
from lpflu_bench.activations.swap.plan import Place, Plan, twin
from lpflu_bench.activations.swap.run import run_without_trace
from lpflu_bench.activations.swap.trace import Trace, UntraceableError, failure, trace


@dataclass
class Places:
    """All places of a network, in the order of execution, formulas that nothing known explains last."""

    places: list[Place]
    untraced: str = ""
    """Why the network couldn't be traced, if so: calls of functions could not be seen then."""
    on_values: bool = False
    """Whether its ``forward`` depends on values, so that it was traced for one input on the CPU."""


class _Snapshot:
    """What a swap changes of a network, to be put back when something fails."""

    _CHANGED = ("inplace", "activation_relu_or_gelu", "use_nested_tensor")

    def __init__(self, network: nn.Module) -> None:
        self._before = [
            (m, type(m), dict(m._modules), {key: vars(m)[key] for key in self._CHANGED if key in vars(m)})
            for m in network.modules()
        ]

    def put_back(self) -> None:
        for module, its_class, children, attributes in self._before:
            module.__class__ = its_class
            module._modules.clear()
            module._modules.update(children)
            vars(module).update(attributes)


@contextmanager
def separate(network: nn.Module, inputs: Inputs | None = None) -> Iterator[Places]:
    """Give every place its own module with its original function, in place; the network computes the same.

    A context: an error inside it undoes everything.

    The run before and the run after are compared operation by operation, with the data flow between them: a helper function
    that does more than its activation, or a network that reads again what an in-place activation has overwritten, is
    found, and left or refused.

    Args:
        network: Any network; unchanged if this fails.
        inputs: What it takes; None to try what fits its first layers.

    Raises:
        UntraceableError: The network depends on an activation that overwrites its input.
    """
    before = _Snapshot(network)
    try:
        yield _separate(before, network, inputs)
    except BaseException:
        before.put_back()
        raise


def _separate(untouched: _Snapshot, network: nn.Module, inputs: Inputs | None) -> Places:
    _unshare(network)
    try:
        traces = _Traces(network, inputs)
    except UntraceableError as error:
        untouched.put_back()
        return Places(_by_class(network), untraced=str(error))
    for module in network.modules():
        _make_plain(module)
    before = _Snapshot(network)
    for helpers in (True, False):
        plan = Plan(network, traces.all, helpers=helpers)
        plan.apply()
        after = traces.again()
        difference = _difference(traces.all, after)
        if not difference:
            _note_overwriting(plan.places, after)
            return Places(plan.places, on_values=not traces.meta)
        if not plan.helpers:
            break
        before.put_back()
    raise UntraceableError(f"near {difference}, a value is read again after an in-place activation")


class _Traces:
    """The network's runs in training and in evaluation, whichever succeeds, on the meta device if that is possible."""

    def __init__(self, network: nn.Module, inputs: Inputs | None) -> None:
        self.network = network
        failures: list[UntraceableError] = []
        for self.inputs in candidates(network) if inputs is None else (inputs,):
            for self.meta in (True, False):
                self.modes: tuple[bool, ...] = (True, False)
                with suppress(UntraceableError):
                    self.all = self.again()
                    return
                self.modes = (False,)
                try:
                    self.all = self.again()
                    return
                except UntraceableError as error:
                    if not self.meta:
                        failures.append(error)
        raise failures[0] if failures else UntraceableError("no layer says what it takes")

    def again(self) -> list[Trace]:
        with small_images(self.network):
            return [trace(self.network, self.inputs, training=mode, meta=self.meta) for mode in self.modes]


def run_on_random_numbers(network: nn.Module, inputs: Inputs | None) -> list[Tensor]:
    """Return all tensors that ``network`` makes of seeded random numbers on the CPU, in both modes where it can.

    Raises:
        UntraceableError: it takes none of the made-up inputs.
    """
    generator = torch.Generator().manual_seed(0)
    failures: list[Exception] = []

    def draw(x: Tensor) -> Tensor:
        return torch.rand(x.shape, generator=generator) if x.is_meta and x.is_floating_point() else x

    for given in candidates(network) if inputs is None else (inputs,):
        drawn = Inputs(*tree_map_only(Tensor, draw, (given.args, given.kwargs))).on("cpu")
        results: list[Tensor] = []
        for training in (True, False):
            try:
                with small_images(network):
                    output = run_without_trace(network, drawn, training=training, meta=False)
            except Exception as error:  # a network refuses inputs by any
                failures.append(error)
                continue
            results += [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if results:
            return results
    reason = f" ({failure(failures[0])})" if failures else ""
    raise UntraceableError(f"it takes none of the inputs tried{reason}: {SAY_INPUTS}")


def _unshare(network: nn.Module) -> None:
    """Give an activation that is registered in several places one (shallow) copy for each."""
    seen: set[int] = set()
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is None or (next(child.children(), None) is not None and not is_main_nonlinearity(child)):
                continue
            if id(child) in seen and module_kind(child):
                parent.register_module(name, twin(child))
            seen.add(id(child))


def _make_plain(module: nn.Module) -> None:
    """Turn off what an activation that is put in could not follow: fused kernels, and overwriting."""
    if isinstance(module, nn.TransformerEncoderLayer):  # has a kernel for evaluation with ReLU or GELU built in
        module.activation_relu_or_gelu = 0
    elif isinstance(module, nn.TransformerEncoder):
        module.use_nested_tensor = False
    if getattr(module, "inplace", None) is True:  # an in-place dropout, say, overwrites what it follows
        module.inplace = False  # type: ignore[assignment]


def _by_class(network: nn.Module) -> list[Place]:
    """The places of a network that can't be traced: modules that are nonlinearities by their class."""
    places: list[Place] = []
    for path, module in network.named_modules():
        kind = module_kind(module)
        if kind and not any(path.startswith(f"{place.path}.") for place in places):
            role: Role = "hidden" if kind == "main" else "gate"
            original = module if kind == "main" else None
            places.append(Place(path, type(module).__name__, role, "feed-forward", original, "" if original else role))
    return places


def _difference(before: list[Trace], after: list[Trace]) -> str:
    """Return where two runs first differ in operations or the data flow between them; empty if nowhere."""
    for a, b in zip(before, after, strict=True):
        for one, other in zip_longest(a.graph.nodes, b.graph.nodes):
            if not (one and other):
                return "the end of the network"
            if (one.op, one.parents, one.shape) != (other.op, other.parents, other.shape):
                return f"{one.op} in {one.owner or 'the network'}"
    return ""


def _note_overwriting(places: list[Place], traces: list[Trace]) -> None:
    """Note where a place's result or input is changed in place later: a function may keep either for the backward pass."""
    by_path = {place.path: place for place in places if place.original is not None}
    for one in traces:
        for call in one.calls:
            place = by_path.get(call.path or "")
            if place is not None:
                later = {node.written for node in one.graph.nodes[call.end :]}
                place.overwritten |= call.output_storage in later
                place.overwrites |= call.input_storage in later
