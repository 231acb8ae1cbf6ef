"""Turn jsonargparse's page of error into one line with the nearest key."""

import importlib
import inspect
import re
from typing import Any

from lpflu_bench.text import nearest


def _parameters(class_path: str) -> set[str]:
    """Return the names of all constructor parameters of a class and its bases."""
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return set()
    return {
        parameter
        for base in inspect.getmro(found)
        if "__init__" in vars(base)
        for parameter in inspect.signature(vars(base)["__init__"]).parameters
        if parameter not in ("self", "args", "kwargs")
    }


def _keys(parser: Any) -> set[str]:
    """Return the keys of a parser (jsonargparse parses the arguments of a class with a parser of its own)."""
    return {action.dest for action in getattr(parser, "_actions", ()) if action.dest not in ("help", "==SUPPRESS==")}


def one_line(message: str, parser: Any) -> str:
    """Return the gist of a parser's error message.

    Args:
        message: what jsonargparse says.
        parser: the parser that says it; its keys are the candidates for a misspelt one.
    """
    text = str(message)
    section = match[1] if (match := re.search(r'Parser key "([^"]+)"', text)) else ""
    for pattern in (
        r"Option '([\w.]+)' is not accepted",
        r"(?:Key|key|option|Option|Group|Subcommand \"\w+\" option) ['\"]([\w.]+)['\"] is not expected",
        r"[Uu]nrecognized arguments: --([\w.]+)",
        r"does not accept (?:nested )?key ['\"]([\w.]+)['\"]",
    ):
        if match := re.search(pattern, text):
            known = _keys(parser).union(*(_parameters(path) for path in re.findall(r"class_path '([^']+)'", text)))
            where = f" in {section}" if section else ""
            return f"unknown key '{match[1]}'{where}{nearest(match[1], known)}"
    lines = [line.strip(" -\t") for line in text.splitlines() if line.strip()]
    useful = [
        line
        for line in lines
        if not re.match(
            r"(Does not validate against any|Subtypes:|Errors:|Given value|Parser key|Expected a <class 'NoneType'>)",
            line,
        )
    ]
    gist = " ".join((useful or lines)[:2])
    return f"{section}: {gist}" if section and section not in gist else gist
