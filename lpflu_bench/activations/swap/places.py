"""A module of its own for every place of a network that calls a main nonlinearity, which still computes the same."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from lpflu_bench.activations.nonlinearities import is_main_nonlinearity, module_kind
from lpflu_bench.activations.swap.graph import Graph
from lpflu_bench.activations.swap.inputs import Inputs, candidates, small_images
from lpflu_bench.activations.swap.placement import Block, Role, classify
from lpflu_bench.activations.swap.rewrite import RewriteError, method_of, rewrite
from lpflu_bench.activations.swap.trace import Call, Site, Trace, UntraceableError, run_without_trace, trace


@dataclass
class Place:
    """A place of the network where a nonlinearity is called."""

    path: str
    """Of the module that is called there, or of the one whose ``forward`` calls a function that stays."""
    old: str
    """Class of that module, or the function's name."""
    role: Role
    block: Block
    original: nn.Module | None = None
    """What is there, not in place; None where nothing is to be put: a gate, an output, a place that was left."""
    why: str = ""
    """Why nothing is put there."""
    called: int = 1
    """How many call places share the module; more than 1 if they couldn't be told apart."""
    overwritten: bool = False
    """Whether what follows changes its result in place."""
    overwrites: bool = False
    """Whether what follows changes its input in place."""

    @property
    def stays(self) -> bool:
        """Whether it is to stay as it is."""
        return self.why in ("gate", "output", "never called")

    @property
    def left(self) -> bool:
        """Whether it should have got a module of its own, and couldn't."""
        return self.original is None and not self.stays


@dataclass
class Places:
    """All places of a network, in the order of execution, and what is not known of it."""

    places: list[Place]
    unknown: list[tuple[str, str]] = field(default_factory=list)
    """Path of a module, and what it computes that nothing known explains."""
    untraced: str = ""
    """Why the network couldn't be traced, if so: calls of functions could not be seen then."""


class _Undo:
    """What was done to a network, to be undone when something fails."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def set_child(self, parent: nn.Module, name: str, child: nn.Module) -> None:
        children = dict(parent._modules)
        self._steps.append(lambda: self._restore(parent, children))
        parent.register_module(name, child)

    def _restore(self, parent: nn.Module, children: dict[str, nn.Module | None]) -> None:
        parent._modules.clear()
        parent._modules.update(children)

    def set_class(self, module: nn.Module, change: Callable[[], None]) -> None:
        before = type(module)
        self._steps.append(lambda: setattr(module, "__class__", before))
        change()

    def set_attribute(self, module: nn.Module, name: str, value: object) -> None:
        before = getattr(module, name)
        self._steps.append(lambda: setattr(module, name, before))
        setattr(module, name, value)

    def back_to(self, mark: int = 0) -> None:
        while len(self._steps) > mark:
            self._steps.pop()()

    @property
    def mark(self) -> int:
        return len(self._steps)


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
    undo = _Undo()
    try:
        yield _separate(undo, network, inputs)
    except BaseException:
        undo.back_to()
        raise


def _separate(undo: _Undo, network: nn.Module, inputs: Inputs | None) -> Places:
    _unshare(undo, network)
    try:
        traces = _Traces(network, inputs)
    except UntraceableError as error:
        undo.back_to()
        return Places(_by_class(network), untraced=str(error))
    for module in network.modules():
        _turn_off_fused_kernel(undo, module)
        if getattr(module, "inplace", None) is True:  # an in-place dropout, say, overwrites what it follows
            undo.set_attribute(module, "inplace", False)
    mark = undo.mark
    for helpers in (True, False):
        plan = _Plan(network, traces.all, helpers=helpers)
        plan.apply(undo)
        after = traces.again()
        if _same(traces.all, after):
            _note_overwriting(plan.places, after)
            return Places(plan.places, list(dict.fromkeys(item for one in traces.all for item in one.unknown)))
        if not plan.helpers:
            break
        undo.back_to(mark)
    raise UntraceableError(f"near {_difference(traces.all, after)}, a value is read again after an in-place activation")


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
        raise failures[0] if failures else UntraceableError("no idea what it takes: pass `inputs`")

    def again(self) -> list[Trace]:
        with small_images(self.network):
            return [trace(self.network, self.inputs, training=mode, meta=self.meta) for mode in self.modes]


def run_on_random_numbers(network: nn.Module, inputs: Inputs | None) -> list[Tensor]:
    """Return all tensors that ``network`` makes of seeded random numbers on the CPU, in both modes where it can.

    Raises:
        UntraceableError: it takes none of the made-up inputs.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(x: Tensor) -> Tensor:
        return torch.rand(x.shape, generator=generator) if x.is_meta and x.is_floating_point() else x

    for given in candidates(network) if inputs is None else (inputs,):
        drawn = Inputs(*tree_map_only(Tensor, draw, (given.args, given.kwargs))).on("cpu")
        results: list[Tensor] = []
        for training in (True, False):
            with suppress(Exception), small_images(network):
                output = run_without_trace(network, drawn, training=training, meta=False)
                results += [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if results:
            return results
    raise UntraceableError("it takes none of the inputs tried: pass `inputs`")


class _Plan:
    """Which place gets which module, and which call expressions must change for it."""

    def __init__(self, network: nn.Module, traces: list[Trace], *, helpers: bool = True) -> None:
        self.network = network
        self.places: list[Place] = []
        self.helpers = False
        """Whether a call by way of a helper function is among the edits."""
        self._children: list[tuple[str, str, nn.Module]] = []
        self._edits: dict[str, list[tuple[Site, tuple[str, ...]]]] = {}
        self._allow_helpers = helpers
        self._taken: set[tuple[str, str]] = set()
        seen: set[tuple[str | None, Site | None]] = set()
        modules: dict[str, list[tuple[Call, Role, Block]]] = {}
        functions: dict[tuple[object, ...], list[tuple[Call, Role, Block]]] = {}
        order: list[tuple[str, object]] = []
        for one in traces:
            for call, (role, block) in zip(one.calls, classify(one), strict=True):
                if (call.path, call.site) in seen or call.kind is None:
                    continue
                seen.add((call.path, call.site))
                if call.path is not None:
                    modules.setdefault(call.path, []).append((call, role, block))
                    order.append(("module", call.path))
                else:
                    where = (call.site.owner, call.site.code, call.site.span) if call.site else (call.name, len(order))
                    functions.setdefault(where, []).append((call, role, block))
                    order.append(("function", where))
        for kind, key in dict.fromkeys(order):
            if kind == "module":
                self._plan_module(str(key), modules[str(key)])
            else:
                self._plan_site(functions[key], None)  # type: ignore[index]
        for path, module in network.named_modules():
            if is_main_nonlinearity(module) and path not in modules and not self._inside(path, modules):
                self.places.append(Place(path, type(module).__name__, "hidden", "feed-forward", why="never called"))

    def _inside(self, path: str, called: Iterable[str]) -> bool:
        return any(path.startswith(f"{outer}.") for outer in called)

    def apply(self, undo: _Undo) -> None:
        """Put the modules in and change the expressions."""
        for owner, name, child in self._children:
            undo.set_child(self.network.get_submodule(owner), name, child)
        for owner, edits in self._edits.items():
            module = self.network.get_submodule(owner)
            undo.set_class(module, lambda module=module, edits=edits: rewrite(module, edits))  # type: ignore[misc]

    def _plan_module(self, path: str, calls: list[tuple[Call, Role, Block]]) -> None:
        replaced = [(call, role, block) for call, role, block in calls if role not in ("gate", "output")]
        kept = [item for item in calls if item not in replaced]
        parent, _, name = path.rpartition(".")
        if kept:
            self._keep(kept[0][0], kept[0][1])
        elif replaced:
            call, role, block = replaced.pop(0)
            place = Place(path, call.name, role, block, _module(call))
            self.places.append(place)
            self._children.append((parent, name, _module(call)))
        sites: dict[tuple[object, ...], list[tuple[Call, Role, Block]]] = {}
        for item in replaced:
            site = item[0].site
            sites.setdefault((site.owner, site.code, site.span) if site else (), []).append(item)
        for key, items in sites.items():
            earlier = [c for c, _, _ in calls if key and c.site and (c.site.owner, c.site.code, c.site.span) == key]
            if not self._plan_site(items, name if earlier[:1] and earlier[0] is not items[0][0] else None, base=name):
                place.called += len(items) if not kept else 0

    def _plan_site(self, items: list[tuple[Call, Role, Block]], first: str | None, base: str | None = None) -> bool:
        """Plan one call expression; ``first`` is what it calls the first time it is reached, if that stays."""
        main = [item for item in items if item[1] not in ("gate", "output")]
        if not main:
            self._keep(items[0][0], items[0][1])
            return True
        call = main[0][0]
        site = call.site
        try:
            if site is None:
                raise RewriteError("no method of a module makes this call")
            if not site.direct and not self._allow_helpers:
                raise RewriteError("a helper function that does more than the activation makes this call")
            owner = self.network.get_submodule(site.owner)
            method_of(owner, site.code)
        except RewriteError as error:
            if base is None:
                self.places.extend(
                    Place(site.owner if site else "", c.name, role, block, why=f"{site or 'unknown place'}: {error}")
                    for c, role, block in main
                )
            return False
        names = [] if first is None else [first]
        for c, role, block in items:
            name = self._free_name(site.owner, owner, base or _identifier(c.name))
            path = f"{site.owner}.{name}" if site.owner else name
            stays = role in ("gate", "output")
            self.places.append(Place(path, c.name, role, block, None if stays else _module(c), role if stays else ""))
            self._children.append((site.owner, name, _module(c)))
            names.append(name)
        self._edits.setdefault(site.owner, []).append((site, tuple(names)))
        self.helpers |= not site.direct
        return True

    def _free_name(self, path: str, owner: nn.Module, base: str) -> str:
        base = base if not base.isdigit() else f"act_{base}"
        count = 1
        while hasattr(owner, name := base if count == 1 else f"{base}_{count}") or (path, name) in self._taken:
            count += 1
        self._taken.add((path, name))
        return name

    def _keep(self, call: Call, role: Role) -> None:
        path = call.path if call.path is not None else call.site.owner if call.site else ""
        self.places.append(Place(path, call.name, role, "feed-forward", why=role))


def _identifier(name: str) -> str:
    return name.lower() if name.isidentifier() else "act"


def _module(call: Call) -> nn.Module:
    """Return a module of its own with the original function."""
    assert isinstance(call.original, nn.Module)
    return _twin(call.original)


def _twin(module: nn.Module) -> nn.Module:
    """Return a module with the same parameters, buffers and settings, but hooks of its own; not in place."""
    twin = module.__new__(type(module))
    twin.__dict__ = {key: copy.copy(value) if isinstance(value, dict) else value for key, value in vars(module).items()}
    if getattr(twin, "inplace", False):
        twin.inplace = False  # type: ignore[assignment]
    return twin


def _unshare(undo: _Undo, network: nn.Module) -> None:
    """Give an activation that is registered in several places one (shallow) copy for each."""
    seen: set[int] = set()
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is None or (next(child.children(), None) is not None and not is_main_nonlinearity(child)):
                continue
            if id(child) in seen and module_kind(child):
                undo.set_child(parent, name, _twin(child))
            seen.add(id(child))


def _turn_off_fused_kernel(undo: _Undo, module: nn.Module) -> None:
    """Torch's encoder layers have a kernel for evaluation with ReLU or GELU built in."""
    if isinstance(module, nn.TransformerEncoderLayer):
        undo.set_attribute(module, "activation_relu_or_gelu", 0)
    elif isinstance(module, nn.TransformerEncoder):
        undo.set_attribute(module, "use_nested_tensor", False)


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


def _operations(graph: Graph) -> Iterator[tuple[object, ...]]:
    for node in graph.nodes:
        yield node.op.rstrip("_"), node.parents, node.shape


def _same(before: list[Trace], after: list[Trace]) -> bool:
    return all(list(_operations(a.graph)) == list(_operations(b.graph)) for a, b in zip(before, after, strict=True))


def _difference(before: list[Trace], after: list[Trace]) -> str:
    for a, b in zip(before, after, strict=True):
        for index, (one, other) in enumerate(zip(_operations(a.graph), _operations(b.graph), strict=False)):
            if one != other:
                return f"{one[0]} in {a.graph.nodes[index].owner or 'the network'}"
    return "the end of the network"


def _note_overwriting(places: list[Place], traces: list[Trace]) -> None:
    """Note where a place's result or input is changed in place later: a function may keep either for the backward pass."""
    by_path = {place.path: place for place in places if place.original is not None}
    for one in traces:
        for call in one.calls:
            place = by_path.get(call.path or "")
            if place is None:
                continue
            for index in one.written:
                memory = one.graph.nodes[index].written
                if index >= call.end:
                    place.overwritten |= memory == call.output_storage
                    place.overwrites |= memory == call.input_storage
