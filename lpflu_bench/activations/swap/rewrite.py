"""Generated subclasses: a module's ``forward`` with some of its call expressions calling a submodule instead.

A call of a function, or the second call of one module, has no attribute of its own where another module could be put. The
method that makes the call is compiled again from its source with that one expression changed, in a subclass of the same
name, and the module becomes an instance of it. What is left is an ordinary module: it can be copied, pickled, exported,
compiled and checkpointed.
"""

import ast
import copy
import functools
import linecache
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any, cast

from torch import nn

from lpflu_bench.activations.swap.trace import Site

Span = tuple[int, int, int, int]
Edit = tuple[Span, tuple[str, ...]]
"""Where a call expression is, and the submodule that takes its place; several: one for each time it is reached."""


class RewriteError(Exception):
    """The call isn't one that can be given to a submodule; says why."""


def method_of(module: nn.Module, code: CodeType) -> str:
    """Return the name of the method of ``module`` that ``code`` belongs to, nested functions included.

    Raises:
        RewriteError: It belongs to none that is a plain function with its source at hand.
    """
    for base in type(module).__mro__:
        for name, function in vars(base).items():
            if isinstance(function, FunctionType) and _contains(function.__code__, code):
                if getattr(type(module), name) is not function:
                    raise RewriteError("another class calls it by super()")
                _call_expressions(function)
                return name
    raise RewriteError("the method is wrapped by a decorator")


def rewrite(module: nn.Module, edits: Sequence[tuple[Site, tuple[str, ...]]]) -> None:
    """Make ``module`` an instance of a subclass in which the call expressions at the sites call submodules, in place.

    Args:
        module: The owner of the sites.
        edits: Site, and the names of the submodules that it calls in turn.

    Raises:
        RewriteError: A site's method can't be compiled again.
    """
    methods: dict[str, list[Edit]] = {}
    for site, names in edits:
        methods.setdefault(method_of(module, site.code), []).append((site.span, names))
    frozen = tuple((name, tuple(sorted(changed))) for name, changed in sorted(methods.items()))
    module.__class__ = swapped_class(type(module), frozen)  # type: ignore[arg-type]


@functools.cache
def swapped_class(base: type[nn.Module], edits: tuple[tuple[str, tuple[Edit, ...]], ...]) -> type[nn.Module]:
    """Return the subclass of ``base`` with the edits; the same one for the same arguments."""

    def reduce(self: nn.Module, protocol: Any) -> tuple[Any, ...]:
        state = cast(tuple[Any, ...], nn.Module.__reduce_ex__(self, protocol))[2:]
        return (_restore, (base, edits), *state)

    body: dict[str, Any] = {name: _compile(getattr(base, name), changed) for name, changed in edits}
    body |= {"__module__": base.__module__, "__qualname__": base.__qualname__, "__reduce_ex__": reduce}
    return type(base.__name__, (base,), body)


def _restore(base: type[nn.Module], edits: tuple[tuple[str, tuple[Edit, ...]], ...]) -> nn.Module:
    swapped: type[nn.Module] = swapped_class(base, edits)  # type: ignore[arg-type]
    return swapped.__new__(swapped)


def _contains(outer: CodeType, code: CodeType) -> bool:
    return outer is code or any(isinstance(const, CodeType) and _contains(const, code) for const in outer.co_consts)


@functools.lru_cache(maxsize=256)
def _parsed(filename: str) -> ast.Module:
    lines = linecache.getlines(filename)
    if not lines:
        raise RewriteError(f"{filename} has no source text")
    return ast.parse("".join(lines))


def _call_expressions(function: FunctionType) -> tuple[ast.FunctionDef, dict[Span, ast.Call]]:
    """Return the definition of ``function`` and its call expressions by their spans."""
    code = function.__code__
    tree = _parsed(code.co_filename)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return node, {_span(call): call for call in ast.walk(node) if isinstance(call, ast.Call)}
    raise RewriteError(f"{code.co_filename} has no source text of {code.co_qualname}")


def _span(node: ast.expr) -> Span:
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


class _Replace(ast.NodeTransformer):
    def __init__(self, edits: dict[Span, tuple[str, ...]]) -> None:
        self.edits = edits
        self.counters: list[str] = []

    def visit_Call(self, node: ast.Call) -> ast.expr:
        names = self.edits.pop(_span(node), None)
        self.generic_visit(node)
        if names is None:
            return node
        if len(names) == 1:
            called = ast.parse(f"self.{names[0]}", mode="eval").body
        else:
            counter = f"_call_{len(self.counters)}"
            self.counters.append(counter)
            called = ast.parse(f"getattr(self, {names!r}[({counter} := {counter} + 1)])", mode="eval").body
        return ast.Call(called, [_operand(node)], [])


def _operand(call: ast.Call) -> ast.expr:
    """Return the tensor that is passed: the first argument, or what a tensor's method is called on."""
    if call.args:
        return call.args[0]
    if call.keywords and call.keywords[0].arg in ("input", "x"):
        return call.keywords[0].value
    if isinstance(call.func, ast.Attribute) and not call.keywords:
        return call.func.value  # x.relu_()
    raise RewriteError("the argument isn't the first one")


def _nested(code: CodeType, name: str) -> CodeType:
    return next(const for const in code.co_consts if isinstance(const, CodeType) and const.co_name == name)


def _compile(function: FunctionType, edits: tuple[Edit, ...]) -> Callable[..., Any]:
    code = function.__code__
    definition, calls = _call_expressions(function)
    definition = copy.deepcopy(definition)
    if missing := [span for span, _ in edits if span not in calls]:
        raise RewriteError(f"{code.co_filename}:{missing[0][0]} is not a plain call")
    replace = _Replace(dict(edits))
    replace.visit(definition)
    definition.decorator_list = []
    definition.returns = None
    for argument in ast.walk(definition.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None  # evaluated where the class was defined, and needed no more
    definition.args.defaults, definition.args.kw_defaults = [], [None] * len(definition.args.kwonlyargs)
    counters = [ast.parse(f"{name} = -1").body[0] for name in replace.counters]
    definition.body = [*counters, *definition.body]
    # Inside a function that has the same free variables (`__class__` of super(), say), so that they stay free ones.
    factory = ast.parse(f"def factory({', '.join(code.co_freevars)}): pass").body[0]
    assert isinstance(factory, ast.FunctionDef)
    factory.body = [definition]
    module = ast.fix_missing_locations(ast.Module([factory], []))
    compiled = compile(module, code.co_filename, "exec")
    new_code = _nested(_nested(compiled, "factory"), code.co_name)
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    closure = tuple(cells[name] for name in new_code.co_freevars)
    new = FunctionType(new_code, function.__globals__, function.__name__, function.__defaults__, closure)
    new.__kwdefaults__ = function.__kwdefaults__
    new.__doc__, new.__qualname__, new.__module__ = function.__doc__, function.__qualname__, function.__module__
    return new
