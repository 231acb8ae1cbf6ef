"""Turn jsonargparse's page of error into one line with the nearest key."""

import difflib
import importlib
import inspect
import re
from collections.abc import Iterable
from typing import Any


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


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=3, cutoff=0.5)
    return f"; the nearest are {', '.join(close)}" if close else ""


def one_line(message: str, parser: Any) -> str:
    """Return the gist of a parser's error message.

    Args:
        message: what jsonargparse says.
        parser: the parser that says it; its keys are the candidates for a misspelt one.
    """
    text = str(message)
    section = match[1] if (match := re.search(r'Parser key "([^"]+)"', text)) else ""
    if match := re.search(r"Option '([^']+)' is not accepted", text):
        classes = re.findall(r"class_path '([^']+)'", text)
        known = set().union(*(_parameters(path) for path in classes)) if classes else set()
        where = f" in {section}" if section else ""
        return f"unknown key '{match[1]}'{where}{_nearest(match[1].split('.')[0], known)}"
    if (
        match := re.search(
            r"(?:Key|key|option|Option|Group|Subcommand \"\w+\" option) ['\"]([\w.]+)['\"] is not expected", text
        )
        or re.search(r"[Uu]nrecognized arguments: --([\w.]+)", text)
        or re.search(r"does not accept (?:nested )?key ['\"]([\w.]+)['\"]", text)
    ):
        known = set(getattr(parser, "get_defaults", dict)().keys()) if parser is not None else set()
        return f"unknown key '{match[1]}'{_nearest(match[1], known)}"
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
