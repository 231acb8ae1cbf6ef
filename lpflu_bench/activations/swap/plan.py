"""Which place of a network gets which module, and which call expressions must change for it."""

import copy
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from lpflu_bench.activations.nonlinearities import is_main_nonlinearity
from lpflu_bench.activations.swap.placement import Block, Role, classify
from lpflu_bench.activations.swap.rewrite import RewriteError, method_of, rewrite
from lpflu_bench.activations.swap.trace import Call, Site, Trace


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


class _Found(NamedTuple):
    call: Call
    role: Role
    block: Block

    @property
    def stays(self) -> bool:
        return self.role in ("gate", "output")

    @property
    def expression(self) -> object:
        """What is the same for all calls that one expression makes."""
        site = self.call.site
        return (site.owner, site.code, site.span) if site else (self.call.name, self.call.start)


class Plan:
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
        found: dict[tuple[str | None, Site | None], _Found] = {}
        for one in traces:
            for call, (role, block) in zip(one.calls, classify(one), strict=True):
                if call.kind is not None:
                    found.setdefault((call.path, call.site), _Found(call, role, block))
        groups: dict[object, list[_Found]] = {}
        for item in found.values():
            groups.setdefault(item.call.path or item.expression, []).append(item)
        for key, items in groups.items():
            if isinstance(key, str):
                self._plan_module(key, items)
            else:
                self._plan_site(items)
        for path, module in network.named_modules():
            inside = any(f"{path}.".startswith(f"{key}.") for key in groups if isinstance(key, str))
            if is_main_nonlinearity(module) and not inside:
                self.places.append(Place(path, type(module).__name__, "hidden", "feed-forward", why="never called"))
        for path, why in dict.fromkeys(item for one in traces for item in one.unknown):
            self.places.append(Place(path, "formula", "hidden", "feed-forward", why=why))

    def apply(self) -> None:
        """Put the modules in and change the expressions."""
        for owner, name, child in self._children:
            self.network.get_submodule(owner).register_module(name, child)
        for owner, edits in self._edits.items():
            rewrite(self.network.get_submodule(owner), edits)

    def _plan_module(self, path: str, items: list[_Found]) -> None:
        """Plan a module's calls: the first one keeps the name, unless the module is to stay for a call of its own."""
        parent, _, name = path.rpartition(".")
        replaced = [item for item in items if not item.stays]
        if len(replaced) < len(items):
            self._keep(next(item for item in items if item.stays))
        else:
            self._put(parent, name, replaced.pop(0))
        groups: dict[object, list[_Found]] = {}
        for item in replaced:
            groups.setdefault(item.expression, []).append(item)
        for expression, group in groups.items():
            first = next(item for item in items if item.expression == expression)
            self._plan_site(group, None if first is group[0] else name, base=name)

    def _plan_site(self, items: list[_Found], first: str | None = None, base: str | None = None) -> None:
        """Plan one call expression.

        Args:
            items: its calls.
            first: what it calls the first time it is reached, if that stays.
            base: name of the new modules; by default that of what is called.
        """
        main = [item for item in items if not item.stays]
        if not main:
            return self._keep(items[0])
        site = main[0].call.site
        try:
            if site is None:
                raise RewriteError("no method of a module makes this call")
            if not site.direct and not self._allow_helpers:
                raise RewriteError("a helper function that does more than the activation makes this call")
            owner = self.network.get_submodule(site.owner)
            method_of(owner, site.code)
        except RewriteError as error:
            why = f"{site or 'unknown place'}: {error}"
            path = main[0].call.path or (site.owner if site else "")
            self.places.extend(Place(path, item.call.name, item.role, item.block, why=why) for item in main)
            return None
        names = [] if first is None else [first]
        for item in items:
            name = item.call.name.lower() if item.call.name.isidentifier() else "act"
            names.append(self._free_name(site.owner, owner, base or name))
            self._put(site.owner, names[-1], item)
        self._edits.setdefault(site.owner, []).append((site, tuple(names)))
        self.helpers |= not site.direct
        return None

    def _put(self, owner: str, name: str, item: _Found) -> None:
        original = None if item.stays else twin(item.call.original)
        why = item.role if item.stays else ""
        self.places.append(Place(f"{owner}.{name}".lstrip("."), item.call.name, item.role, item.block, original, why))
        self._children.append((owner, name, twin(item.call.original)))

    def _free_name(self, path: str, owner: nn.Module, base: str) -> str:
        base = base if not base.isdigit() else f"act_{base}"
        count = 1
        while hasattr(owner, name := base if count == 1 else f"{base}_{count}") or (path, name) in self._taken:
            count += 1
        self._taken.add((path, name))
        return name

    def _keep(self, item: _Found) -> None:
        path = item.call.path or (item.call.site.owner if item.call.site else "")
        self.places.append(Place(path, item.call.name, item.role, "feed-forward", why=item.role))


def twin(module: nn.Module) -> nn.Module:
    """Return a module with the same parameters, buffers and settings, but hooks of its own; not in place."""
    new = module.__new__(type(module))
    new.__dict__ = {key: copy.copy(value) if isinstance(value, dict) else value for key, value in vars(module).items()}
    if getattr(new, "inplace", False):
        new.inplace = False  # type: ignore[assignment]
    return new
