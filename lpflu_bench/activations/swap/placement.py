"""What each call of a nonlinearity is, by the data flow around it and not by any name.

The paper puts a random slope inside residual, dense and shuffle connection blocks and a fixed one in feed-forward parts
(its Figs. 3 and 4). As rules over the graph of operations, for a call A; a *free* path meets no main nonlinearity:

- **residual**: an addition J of a and b, and the nearest S that reaches a by a free path with at most one weighted
  operation (a projection) and that b depends on too; A depends on S, and b on A. So A lies on the branch that a skip
  connection leads around. Also a call that takes J's sum directly, in J's module or below (ResNet's last ReLU).
- **dense**: a concatenation of channels, one part of which is S itself; A lies between S and another part.
- **shuffle**: a concatenation of channels whose result is shuffled (view, transpose, view); A lies between the last
  operation that both branches come from and J.
- **feed-forward**: everything else. A connection across scales is not a block: an upsampling before or behind A, inside the
  region and on the way to J, rules J out (the skips of U-Net, FPN, LinkNet), unless it only computes a gate.

Roles: a **gate** multiplies data that doesn't come from it; an **output** has no weighted operation behind it and is in no
block; the nonlinearity inside **squeeze-and-excitation** leads into the factor of a sigmoid or hard-sigmoid and nowhere else;
**position**: it sees no input data (the bias MLP of Swin v2). All others are **hidden**.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lpflu_bench.activations.swap.graph import Node
from lpflu_bench.activations.swap.trace import Call, Trace

Block = Literal["residual", "dense", "shuffle", "feed-forward"]
Role = Literal["hidden", "squeeze-and-excitation", "position", "gate", "output"]

_SIGMOIDS = frozenset({"sigmoid", "hardsigmoid"})
_SCALAR = frozenset({"mul", "div", "add", "sub", "rsub", "clamp", "neg", "hardtanh"})


@dataclass(frozen=True)
class _Join:
    """Where branches meet: what lies in ``region`` is in the block."""

    kind: Block
    node: int
    region: int
    branch: tuple[int, ...]


def classify(trace: Trace) -> list[tuple[Role, Block]]:
    """Return the role and the block of each call, in their order."""
    return _Classifier(trace).all()


class _Classifier:
    def __init__(self, trace: Trace) -> None:
        self.trace, self.graph = trace, trace.graph
        self.main = 0
        for call in trace.calls:
            if call.kind == "main":
                self.main |= (1 << call.end) - (1 << call.start)
        self.data = self.graph.mask(lambda node: node.data)
        self.weighted = self.graph.mask(lambda node: node.weighted)
        self.upsampling = self.graph.mask(lambda node: node.upsampling)
        self.joins = [join for join in self._joins() if join.region & self.main or join.kind == "residual"]
        self.added = {join.node for join in self.joins if join.kind == "residual"}

    def all(self) -> list[tuple[Role, Block]]:
        results: list[tuple[Role, Block]] = []
        for call in self.trace.calls:
            block = self._block(call) if call.kind == "main" else "feed-forward"
            results.append((self._role(call, block), block))
        return results

    # --- roles ---------------------------------------------------------------------------------------------------

    def _role(self, call: Call, block: Block) -> Role:
        if call.kind == "gate" or not call.outputs or self._multiplies(call):
            return "gate"
        output = call.outputs[-1]
        if not self.graph.nodes[output].data:
            return "position"
        if not self.graph.descendants[output] & self.weighted and block == "feed-forward":
            return "output"
        return "squeeze-and-excitation" if self._only_gates(output) else "hidden"

    def _multiplies(self, call: Call) -> bool:
        """Whether its result, through views and scalar factors alone, is a factor of data that doesn't come from it."""
        descendants = self.graph.descendants[call.outputs[-1]]
        waiting = [call.outputs[-1]]
        while waiting:
            index = waiting.pop()
            for child in self.graph.children[index]:
                node = self.graph.nodes[child]
                if node.product:
                    others = [operand for operand in node.operands if index not in operand]
                    if any(self._independent(other, descendants) for other in others):
                        return True
                if node.view or (node.op in _SCALAR and sum(map(bool, node.operands)) == 1):
                    waiting.append(child)
        return False

    def _independent(self, operand: tuple[int, ...], descendants: int) -> bool:
        return any(self.graph.nodes[i].data for i in operand) and not any(descendants >> i & 1 for i in operand)

    def _only_gates(self, output: int) -> bool:
        """Whether every way on from ``output`` ends as the factor of a sigmoid."""
        gates = 0
        waiting, seen = [(output, False)], set()
        while waiting:
            state = waiting.pop()
            if state in seen:
                continue
            seen.add(state)
            index, bounded = state
            children = self.graph.children[index]
            if not children:
                return False
            for child in children:
                op = self.graph.nodes[child].op
                if op == "mul" and bounded:
                    gates += 1
                else:
                    waiting.append((child, bounded or op in _SIGMOIDS or self._hard_sigmoid(child)))
        return gates > 0

    def _hard_sigmoid(self, index: int) -> bool:
        """Whether a node is the clamp of a hard-sigmoid written out, relu6(x + 3) / 6."""
        node = self.graph.nodes[index]
        return node.op == "hardtanh" and any(
            self.graph.nodes[child].op in ("div", "mul") and sum(map(bool, self.graph.nodes[child].operands)) == 1
            for child in self.graph.children[index]
        )

    # --- blocks --------------------------------------------------------------------------------------------------

    def _block(self, call: Call) -> Block:
        if not call.outputs:
            return "feed-forward"
        output = call.outputs[-1]
        if self._takes_a_sum(call):
            return "residual"
        kinds = {
            join.kind for join in self.joins if join.region >> output & 1 and not self._across_scales(join, output)
        }
        return next((kind for kind in ("residual", "shuffle", "dense") if kind in kinds), "feed-forward")

    def _takes_a_sum(self, call: Call) -> bool:
        source = self.graph.through_views(call.inputs[-1:])
        if source not in self.added:
            return False
        owner = self.graph.nodes[source].owner
        caller = call.site.owner if call.site else ""
        return not owner or caller == owner or caller.startswith(f"{owner}.")

    def _across_scales(self, join: _Join, output: int) -> bool:
        near = join.region & self.upsampling & (self.graph.ancestors[output] | self.graph.descendants[output])
        return bool(near and near & self._reaching(join))

    def _reaching(self, join: _Join) -> int:
        """Return what reaches the join, inside its region, otherwise than as a gate."""
        reached, waiting = 0, list(join.branch)
        while waiting:
            index = waiting.pop()
            if reached >> index & 1 or not join.region >> index & 1:
                continue
            reached |= 1 << index
            node = self.graph.nodes[index]
            for operand in node.operands:
                if not (node.product and self._is_gate(operand)):
                    waiting.extend(operand)
        return reached

    def _is_gate(self, operand: tuple[int, ...]) -> bool:
        """Whether an operand is a sigmoid's value, resized at most."""
        indices = operand
        while len(indices) == 1:
            node = self.graph.nodes[indices[0]]
            if node.op in _SIGMOIDS:
                return True
            if not (node.view or node.upsampling or node.op in ("expand", "mean")):
                return False
            indices = node.parents
        return False

    def _joins(self) -> Iterator[_Join]:
        for index, node in enumerate(self.graph.nodes):
            if node.op == "add" and len(node.operands) == 2 and all(node.operands) and node.data:
                yield from self._residual_joins(index, node)
            elif node.op == "cat" and len(node.shape) == 4 and len(node.operands) > 1 and self._along_channels(node):
                if not self._is_shuffled(index):
                    yield from self._dense_joins(index, node)
                elif (fork := self._fork(node)) is not None:
                    yield _Join("shuffle", index, self._between(fork, node.parents), node.parents)

    def _fork(self, node: Node) -> int | None:
        """Return the last node that every operand depends on, if there is one."""
        common = self.data
        for operand in node.operands:
            common &= self._ancestors(operand)
        return common.bit_length() - 1 if common else None

    def _ancestors(self, operand: tuple[int, ...]) -> int:
        ancestors = 0
        for index in operand:
            ancestors |= self.graph.ancestors[index]
        return ancestors

    def _between(self, source: int, branch: tuple[int, ...]) -> int:
        return self.graph.descendants[source] & self._ancestors(branch) & ~(1 << source)

    def _residual_joins(self, index: int, node: Node) -> Iterator[_Join]:
        for skip, branch in (node.operands, node.operands[::-1]):
            found = self._skip_source(skip, branch)
            if found is None:
                continue
            source, projections = found
            region = self._between(source, branch)
            # Parallel convolutions that are added up (RepVGG without its identity) are one wide layer, and no skip.
            if region & self.main or self._depth(region) > projections:
                yield _Join("residual", index, region, branch)

    def _depth(self, region: int) -> int:
        """Return the largest number of weighted operations on a path through a region."""
        depths: dict[int, int] = {}
        while region:
            index = (region & -region).bit_length() - 1
            region &= region - 1
            node = self.graph.nodes[index]
            depths[index] = max((depths.get(parent, 0) for parent in node.parents), default=0) + node.weighted
        return max(depths.values(), default=0)

    def _skip_source(self, skip: tuple[int, ...], branch: tuple[int, ...]) -> tuple[int, int] | None:
        """Return the nearest node that reaches ``skip`` freely and ``branch`` anyhow, and the projections in between."""
        ancestors = self._ancestors(branch)
        best: tuple[int, int] | None = None
        waiting, seen = [(index, 0) for index in skip], set()
        while waiting:
            state = waiting.pop()
            index, projections = state
            if (
                state in seen
                or not self.graph.nodes[index].data
                or (best and (-index, projections) >= (-best[0], best[1]))
            ):
                continue
            seen.add(state)
            if ancestors >> index & 1:
                best = (index, projections)
                continue
            if self.main >> index & 1:
                continue
            projections += self.graph.nodes[index].weighted
            if projections <= 1:
                waiting.extend((parent, projections) for parent in self.graph.nodes[index].parents)
        return best

    def _along_channels(self, node: Node) -> bool:
        return next((setting for setting in node.settings if isinstance(setting, int)), 0) in (1, -3)

    def _is_shuffled(self, index: int) -> bool:
        ops: list[str] = []
        while len(children := self.graph.children[index]) == 1 and len(ops) < 5:
            index = children[0]
            ops.append(self.graph.nodes[index].op)
        return ops[:2] in (["view", "transpose"], ["view", "permute"], ["_unsafe_view", "transpose"])

    def _dense_joins(self, index: int, node: Node) -> Iterator[_Join]:
        parts = [self.graph.through_views(operand) for operand in node.operands]
        for source in {part for part in parts if part is not None and self.graph.nodes[part].data}:
            if any(part is not None and part != source and self.graph.ancestors[source] >> part & 1 for part in parts):
                continue  # the earliest part has the largest region
            others = tuple(
                i for operand, part in zip(node.operands, parts, strict=True) if part != source for i in operand
            )
            if (region := self._between(source, others)) & self.main:
                yield _Join("dense", index, region, others)
