"""Turn jsonargparse's page of error into one line: the key, what is wrong with its value, the nearest that would do."""

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lpflu_bench.errors import one_line
from lpflu_bench.text import nearest

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "NoneType": "null",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
}
_STRUCTURE = re.compile(r"Does not validate against any of the Union|Subtypes:|Errors:|Given value|Expected a path but")
_KEY = re.compile(r'Parser key "([^"]+)"(?: element \d+)?:')
_PROBLEM = re.compile(r"Problem with given class_path '([^']+)':?")
_UNKNOWN = (
    re.compile(r"Option '([\w.+-]+)' is not accepted"),
    re.compile(r"(?:[Kk]ey|[Oo]ption|Group|Subcommand \"\w+\" option) ['\"]([\w.+-]+)['\"] is not expected"),
    re.compile(r"[Uu]nrecognized arguments: --([\w.+-]+)"),
    re.compile(r"does not accept (?:nested )?(?:key|option) ['\"]([\w.+-]+)['\"]"),
)
_NO_CLASS = (
    re.compile(r"Expected a dot import path string: (\S+)"),
    re.compile(r"Import path (\S+) does not correspond to a subclass"),
    re.compile(r"Expected '([\w.]+)' to be a subclass"),
    re.compile(r"Unexpected import path format: (\S+)"),
)
_BASES = {"optimizer": {"torch.optim.Optimizer"}}
"""Of keys whose messages do not show their type."""
_NULL = "Expected a <class 'NoneType'>"


@dataclass
class _Statement:
    """One sentence of a message, with the key it is about."""

    path: tuple[str, ...]
    text: str
    types: str = ""
    """The types that the value could have had."""


def explain(message: str, parser: Any) -> str:
    """Return the gist of a parser's error message.

    Args:
        message: what jsonargparse says: sentences indented below the keys they are about, one for each type that a
            value could have had.
        parser: the parser that says it; its keys are the candidates for a misspelt one.
    """
    text = str(message)
    statements = list(_statements(text)) or [_Statement((), text)]
    told = [statement for statement in statements if statement.text != _NULL] or statements
    depth = max(len(statement.path) for statement in told)
    deepest = [statement for statement in told if len(statement.path) == depth]
    path = deepest[0].path
    key = ".".join(path)
    where = f"{key}: " if key else ""
    types = _BASES.get(path[-1], set()) if path else set()
    types = types or set(re.findall(r"(?<![\w.])[A-Za-z_]\w*(?:\.\w+)+", " ".join(s.types for s in deepest)))
    for statement in deepest:
        for pattern in _UNKNOWN:
            if found := pattern.search(statement.text):
                known = _accepted(types | set(_class_paths(text))) if path else _keys(parser)
                head = found[1].partition(".")[0]  # of a key in an unknown section, the section is what is wrong
                unknown = found[1] if path or head in {name.partition(".")[0] for name in known} else head
                return f"{where}unknown key '{unknown}'{nearest(unknown, known)}"
    for statement in deepest:
        if required := re.search(
            r"the following arguments are required: (.+)|Key \"([^\"]+)\" is required", statement.text
        ):
            return f"{where}missing: {re.sub(r'^(fit|validate|test|predict)[.]', '', required[1] or required[2])}"
        if several := re.search(r"Multiple subclasses with name (\w+)\..* ambiguity: (.*?)\.?$", statement.text):
            return f"{where}there are several classes {several[1]}: write one of {several[2]}"
        if found := re.search(
            r"(?:callable class: |^)(No module named .*|module .* has no attribute '\w+')", statement.text
        ):
            return f"{where}{found[1].rstrip('.')}{_nearest_class(found[1].split(chr(39))[-2], types)}"
    choices = [
        choice for s in deepest for found in re.findall(r"Literal\[(.*)\]", s.text) for choice in found.split(", ")
    ]
    given = _given(text, deepest)
    if choices:
        names = list(dict.fromkeys(choice.strip("'") for choice in choices))
        return f"{where}{given or 'the value'} is none of {', '.join(names)}"
    expected = [match[1] for s in deepest if (match := re.match(r"Expected a <class '([\w.]+)'>", s.text))]
    classes = [found[1] for s in deepest for pattern in _NO_CLASS if (found := pattern.search(s.text))]
    if classes and not {"int", "float"} & set(expected):
        return f"{where}there is no class '{classes[0]}'{_nearest_class(classes[0], types)}"
    if expected:
        wider = "float" in expected
        nouns = list(dict.fromkeys(_WORDS.get(n.rpartition(".")[2], n) for n in expected if not (wider and n == "int")))
        return f"{where}must be {' or '.join(nouns)}" + (f", not {given!r}" if given else "")
    return where + one_line(deepest[0].text)


def _statements(text: str) -> Iterator[_Statement]:
    """Yield the sentences of a message below their keys; what only structures it is left out."""
    stack: list[tuple[int, str]] = []
    types = ""
    for line in text.splitlines():
        content = line.lstrip(" -")
        indent = len(line) - len(line.lstrip(" "))
        if not content:
            continue
        while stack and stack[-1][0] >= indent:
            stack.pop()
        if subtypes := re.match(r"Subtypes: (.*)", content):
            types = subtypes[1]
        if _STRUCTURE.match(content):
            continue
        if key := _KEY.match(content):
            stack.append((indent, key[1]))
            types = ""
            content = content[key.end() :].strip()
        elif problem := _PROBLEM.match(content):
            content = content[problem.end() :].strip()
        if content:
            yield _Statement(tuple(key for _, key in stack), content, types)


def _given(text: str, deepest: list[_Statement]) -> str | None:
    """Return the value that was refused, if the message shows it plainly."""
    shown = [match[1] for s in deepest if (match := re.search(r"Got value: (.*)", s.text))]
    shown += [match[1] for match in re.finditer(r"Given value: (.*)", text)]
    plain = [value for value in shown if not value.startswith(("Namespace(", "NestedArg("))]
    return one_line(plain[0], 60) if plain else None


def _class_paths(text: str) -> Iterator[str]:
    yield from re.findall(r"class_path=?['\": ]+([\w.]+)'", text)
    yield from re.findall(r"class_path '([^']+)'", text)


def _find(class_path: str) -> type | None:
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None
    return found if isinstance(found, type) else None


def _family(class_paths: set[str]) -> set[type]:
    """Return the classes and all their subclasses that are imported."""
    family: set[type] = set()
    waiting = [found for path in class_paths if (found := _find(path)) is not None and found is not type(None)]
    while waiting:
        member = waiting.pop()
        if member not in family:
            family.add(member)
            waiting += type.__subclasses__(member)
    return family


def _accepted(class_paths: set[str]) -> set[str]:
    """Return the names of all constructor parameters of the classes, their bases and their subclasses."""
    return {
        parameter
        for member in _family(class_paths)
        for base in inspect.getmro(member)
        if inspect.isfunction(vars(base).get("__init__"))
        for parameter in inspect.signature(vars(base)["__init__"]).parameters
        if parameter not in ("self", "args", "kwargs")
    }


def _nearest_class(name: str, class_paths: set[str]) -> str:
    names = {member.__name__ for member in _family(class_paths) if not member.__name__.startswith("_")}
    return nearest(name.rpartition(".")[2], names)


def _keys(parser: Any) -> set[str]:
    """Return the keys of a parser, those of its subcommand included."""
    keys: set[str] = set()
    for action in getattr(parser, "_actions", ()):
        for inner in (getattr(action, "choices", None) or {}).values() if isinstance(action.choices, dict) else ():
            keys |= _keys(inner)
        if action.dest not in ("help", "==SUPPRESS=="):
            keys.add(action.dest)
    return keys
