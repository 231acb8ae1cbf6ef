"""The data flow of one run: a node for each operation of torch, and what it read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

WEIGHTED = frozenset({"convolution", "addmm", "mm", "bmm", "baddbmm", "linear", "conv2d"})
# Results that hold nothing of the tensor they take their shape from.
_SHAPE_ONLY = frozenset(f"{name}_like" for name in ("empty", "zeros", "ones", "full", "rand", "randn", "randint"))
_SHAPE_ONLY |= frozenset(f"new_{name}" for name in ("empty", "zeros", "ones", "full", "empty_strided"))
_SHAPE_ONLY |= frozenset({"bernoulli", "uniform", "normal"})
# Copies, as good as the views that are recognised by their storage.
_COPIES = frozenset({"clone", "_unsafe_view", "_to_copy", "alias", "contiguous", "lift_fresh"})
_FIRST_OPERAND_ONLY = frozenset({"roi_align", "roi_pool"})  # the boxes' positions are not image data


@dataclass(frozen=True)
class Node:
    """One operation."""

    op: str
    """Name in the dispatcher, without the underscore of an in-place form."""
    operands: tuple[tuple[int, ...], ...]
    """For each tensor it reads, the nodes that made or changed it; empty for a weight or a constant."""
    owner: str
    """Path of the module whose ``forward`` did it."""
    data: bool
    """Whether it depends on the network's inputs."""
    weights: bool
    """Whether it depends on weights alone, or reads some."""
    view: bool
    """Whether its result is its first operand in another shape or a part of it."""
    shape: tuple[int, ...]
    written: int | None = None
    """Storage that it changed in place."""
    settings: tuple[Any, ...] = ()
    """Its arguments that are not tensors."""

    @property
    def parents(self) -> tuple[int, ...]:
        """The nodes it depends on, each once."""
        return tuple(sorted({index for operand in self.operands for index in operand}))

    @property
    def weighted(self) -> bool:
        """Whether it is a convolution or matrix product of data with weights."""
        return self.op in WEIGHTED and self.data and self.weights

    @property
    def product(self) -> bool:
        """Whether it multiplies two tensors elementwise."""
        return self.op == "mul" and len(self.operands) == 2

    @property
    def upsampling(self) -> bool:
        """Whether it makes a feature map larger."""
        transposed = self.op == "convolution" and any(setting is True for setting in self.settings)
        return transposed or "upsample" in self.op or self.op in ("pixel_shuffle", "grid_sampler_2d")


@dataclass
class Graph:
    """Nodes in the order of execution, which is a topological one."""

    nodes: list[Node] = field(default_factory=list)

    @cached_property
    def children(self) -> list[list[int]]:
        """For each node, those that read it."""
        children: list[list[int]] = [[] for _ in self.nodes]
        for index, node in enumerate(self.nodes):
            for parent in node.parents:
                children[parent].append(index)
        return children

    @cached_property
    def ancestors(self) -> list[int]:
        """For each node, a bit set of what it depends on, itself included."""
        sets: list[int] = []
        for index, node in enumerate(self.nodes):
            bits = 1 << index
            for parent in node.parents:
                bits |= sets[parent]
            sets.append(bits)
        return sets

    @cached_property
    def descendants(self) -> list[int]:
        """For each node, a bit set of what depends on it, itself included."""
        sets = [0] * len(self.nodes)
        for index in range(len(self.nodes) - 1, -1, -1):
            bits = 1 << index
            for child in self.children[index]:
                bits |= sets[child]
            sets[index] = bits
        return sets

    def mask(self, test: Callable[[Node], bool]) -> int:
        """Return the bit set of the nodes for which ``test`` is true."""
        return sum(1 << index for index, node in enumerate(self.nodes) if test(node))

    def through_views(self, indices: Sequence[int]) -> int | None:
        """Return the one node that ``indices`` lead back to through views and copies alone; None if there are several."""
        while len(indices) == 1:
            node = self.nodes[indices[0]]
            if not node.view or not node.operands or not node.operands[0]:
                return indices[0]
            indices = node.operands[0]
        return None


class Recorder:
    """Builds the graph from the operations as they happen."""

    def __init__(self, weights: Iterable[Tensor], inputs: Any) -> None:
        self.graph = Graph()
        self._weights = {storage(tensor) for tensor in weights}
        self._producers: dict[int, int] = {}
        self._latest: dict[int, int] = {}
        self._writers: dict[int, list[int]] = {}
        self._kept: list[Tensor] = []  # so that no address is used twice
        for tensor in _tensors(inputs):
            self._append(Node("input", (), "", True, False, False, tuple(tensor.shape)), [tensor])

    def sources(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the nodes that made ``tensor`` what it is: its operation, and what has changed its memory since."""
        memory = storage(tensor)
        if memory in self._weights:
            return ()
        producer = self._producers.get(id(tensor), self._latest.get(memory))
        if producer is None:
            return ()
        return (producer, *(index for index in self._writers.get(memory, []) if index > producer))

    def record(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any, owner: str) -> None:
        """Add one operation of the dispatcher."""
        op = function.overloadpacket.__name__.rstrip("_")
        read = [] if op in _SHAPE_ONLY else list(_tensors((args, kwargs)))
        if op in _FIRST_OPERAND_ONLY:
            read = read[:1]
        operands = tuple(self.sources(tensor) for tensor in read)
        made = list(_tensors(result))
        if not made:
            return
        nodes = self.graph.nodes
        parents = {index for operand in operands for index in operand}
        weights = any(storage(tensor) in self._weights for tensor in read)
        weights |= any(nodes[index].weights and not nodes[index].data for index in parents)
        written = storage(made[0]) if function._schema.is_mutable else None
        if written in self._weights:
            return
        view = op in _COPIES or (
            bool(read) and written is None and storage(made[0]) == storage(read[0]) and op not in _SHAPE_ONLY
        )
        settings = tuple(leaf for leaf in tree_leaves((args, kwargs)) if not isinstance(leaf, Tensor))
        data = any(nodes[index].data for index in parents)
        shape = tuple(made[0].shape)
        self._append(Node(op, operands, owner, data, weights, view, shape, written, settings), made)

    def _append(self, node: Node, made: Sequence[Tensor]) -> None:
        index = len(self.graph.nodes)
        self.graph.nodes.append(node)
        for tensor in made:
            self._producers[id(tensor)] = self._latest[storage(tensor)] = index
            self._kept.append(tensor)
        if node.written is not None:
            self._writers.setdefault(node.written, []).append(index)


def storage(tensor: Tensor) -> int:
    """Return what identifies the memory of ``tensor``, as long as it exists."""
    return int(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else id(tensor)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
