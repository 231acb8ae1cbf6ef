"""Nonlinear formulas that a network writes out in its forward, which no call of a function or module shows."""

from collections.abc import Iterator, Sequence, Set

from lpflu_bench.activations.swap.graph import Graph

# fmt: off
POINTWISE = frozenset((
    "add", "sub", "rsub", "mul", "div", "neg", "abs", "sign", "sigmoid", "tanh", "erf", "exp", "expm1", "log", "log1p",
    "log2", "log_sigmoid_forward", "softplus", "pow", "square", "sqrt", "rsqrt", "reciprocal", "clamp", "clamp_min",
    "clamp_max", "maximum", "minimum", "where", "lt", "le", "gt", "ge", "relu", "gelu", "silu", "mish", "hardswish",
    "hardsigmoid", "hardtanh", "leaky_relu", "elu", "celu", "sin", "cos", "atan", "detach", "clone", "alias", "_to_copy",
    "empty_like", "zeros_like",
))
CURVED = POINTWISE - {
    "add", "sub", "rsub", "mul", "div", "neg", "lt", "le", "gt", "ge", "detach", "clone", "alias", "_to_copy"
}
_MAIN = frozenset((
    "relu", "gelu", "silu", "mish", "hardswish", "hardtanh", "leaky_relu", "elu", "celu", "softplus", "prelu",
    "_prelu_kernel", "threshold", "rrelu_with_noise", "hardshrink", "softshrink",
))
# fmt: on
_BOUNDED = frozenset({"sigmoid", "tanh", "erf", "hardsigmoid"})


def formulas(graph: Graph, explained: Set[int]) -> Iterator[tuple[str, str]]:
    """Yield module and formula of what is nonlinear and isn't one of the ``explained`` nodes."""
    for index, node in enumerate(graph.nodes):
        if node.data and index not in explained and (formula := _formula(graph, index)):
            yield node.owner, f"{formula} is written out in its forward"


def _formula(graph: Graph, index: int) -> str | None:
    node = graph.nodes[index]
    op = node.op
    if op in _MAIN:
        return op
    if op in ("clamp", "clamp_min") and node.settings[:1] == (0,) and len(node.settings) == 1:
        if _between_layers(graph, index):
            return "clamp(min=0)"
    elif op == "maximum" and not all(any(graph.nodes[i].data for i in operand) for operand in node.operands):
        return "maximum(x, constant)"
    elif node.product and all(node.operands):
        chains = [_pointwise_ancestors(graph, operand) for operand in node.operands]
        bounded = [op for i in chains[0] ^ chains[1] if (op := graph.nodes[i].op) in _BOUNDED]
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
            if graph.nodes[index].op in POINTWISE:
                waiting.extend(graph.nodes[index].parents)
    return found


def _between_layers(graph: Graph, index: int) -> bool:
    """Whether an operation on whole feature maps stands between two layers with weights, as an activation does."""
    weighted = graph.mask(lambda node: node.weighted)
    return bool(graph.ancestors[index] & weighted and graph.descendants[index] & weighted)
